"""The cell of one test: network, mount, pid, uts and ipc namespaces and a folder, which all end with it.

    outer     the test program. Makes the folder, waits for the result, and is the one who gets ^C or SIGTERM.
    guardian  its child, in a session of its own. Holds nothing but the way back: when the outer process is gone, or the
              inner one, it ends what is left and removes the folder.
    inner     process 1 of the new pid namespace; runs the test. When it dies, the kernel kills all that it started.

Whichever of the three is killed, by whatever, nothing stays behind: the inner one dies with the guardian (parent-death
signal), the guardian leaves when its pipe from the outer one closes, and the outer one removes the folder if the guardian
could not. If outer and guardian are killed in the same moment, the folder's lock is free, and a run that begins a minute
later removes it.
"""
import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback

NEWNS, NEWUTS, NEWIPC, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
PR_SET_PDEATHSIG = 1
PREFIX, KEPT = "postern-lab-", "postern-kept-"

_libc = ctypes.CDLL(None, use_errno=True)
_pipes = set()          # the outer ends of all life lines: no child may hold another's


class Interrupted(BaseException):
    """The outer process was asked to stop; the argument is the signal."""


def catch_signals():
    def stop(number, _):
        raise Interrupted(number)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def unshare(flags):
    if _libc.unshare(flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, "unshare: " + os.strerror(code))


def reap(place=None, prefix=PREFIX):
    """Removes the folders of runs that were killed with all their processes."""
    place = place or tempfile.gettempdir()
    for name in os.listdir(place):
        if name.startswith(prefix) and settled(os.path.join(place, name)):
            lock = lock_folder(os.path.join(place, name))
            if lock is not None:
                shutil.rmtree(os.path.join(place, name), ignore_errors=True)
                os.close(lock)


def settled(path):
    """Old enough to be judged by its lock: one that another run makes in this moment has none yet."""
    try:
        return os.stat(path).st_mtime < time.time() - 60
    except FileNotFoundError:
        return False


def lock_folder(path):
    """A descriptor that holds the folder's lock, or None if somebody has it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd
    except OSError:
        os.close(fd)
        return None


def ended(fd, seconds, *others):
    """Waits until one of the descriptors says something: a process has ended, a pipe has closed."""
    poll = select.poll()
    for one in (fd, *others):
        poll.register(one, select.POLLIN)
    return bool(poll.poll(None if seconds is None else max(0, seconds) * 1000))


class Cell:
    """Cell(function, name, seconds).finish() is (passed, [lines that explain])."""

    def __init__(self, function, name, seconds, set_up):
        self.function, self.name, self.seconds, self.set_up = function, name, seconds, set_up
        self.keep = bool(os.environ.get("POSTERN_KEEP"))
        self.folder = tempfile.mkdtemp(prefix=f"{KEPT if self.keep else PREFIX}{name[5:25]}-")
        os.chmod(self.folder, 0o755)
        self.lock = lock_folder(self.folder)
        life, self.life = os.pipe()
        self.result, result = os.pipe()
        _pipes.add(self.life)
        sys.stdout.flush()
        sys.stderr.flush()
        self.guardian = os.fork()
        if self.guardian == 0:
            try:
                self.guard(life, result)
            finally:
                os._exit(1)
        os.close(life)
        os.close(result)

    # --- outer ---

    def finish(self):
        """Waits for the test; whatever happens, nothing of it is left when this returns or raises."""
        said = b""
        try:
            end = time.monotonic() + self.seconds + 30     # the inner one gives itself self.seconds
            while True:
                if not ended(self.result, end - time.monotonic()):
                    return False, [f"expected to end within {self.seconds} s, and did not"]
                piece = os.read(self.result, 65536)
                if not piece:
                    break
                said += piece
        finally:
            self.end()
        try:
            passed, lines = json.loads(said)
            return passed, lines
        except ValueError:
            return False, ["expected the test to end, but its process was killed"]

    def end(self):
        os.close(self.life)
        _pipes.discard(self.life)
        guardian = os.pidfd_open(self.guardian)
        if not ended(guardian, 20):
            os.kill(self.guardian, signal.SIGKILL)
        os.waitpid(self.guardian, 0)
        os.close(guardian)
        if self.keep:
            print(f"# kept: {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self.lock)
        os.close(self.result)

    # --- guardian ---

    def guard(self, life, result):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        for fd in _pipes:
            os.close(fd)
        os.close(self.result)
        guardian = os.pidfd_open(os.getpid())
        unshare(NEWPID)
        inner = os.fork()
        if inner == 0:
            try:
                _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                if not ended(guardian, 0):      # else it died before that
                    self.run(result)
            finally:
                os._exit(1)
        os.close(result)
        ended(os.pidfd_open(inner), None, life)
        os.kill(inner, signal.SIGKILL)      # either it has ended already, or the outer one is gone
        os.waitpid(inner, 0)                # returns when all of its namespace are dead
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        os._exit(0)

    # --- inner ---

    def run(self, result):
        from . import judge
        from .tap import Failed
        from .process import stop_all
        passed, lines = False, []
        try:
            unshare(NEWNET | NEWNS | NEWUTS | NEWIPC)
            own_mounts()
            self.set_up()
            signal.signal(signal.SIGALRM, self.too_late)
            signal.alarm(self.seconds)
            self.function(self.folder)
            judge.verdict()
            passed = True
        except Failed as e:
            lines = str(e).splitlines()
            lines[:1] = [f"{self.place(e.__traceback__)}: {lines[0] if lines else ''}"]
        except Exception:
            lines = traceback.format_exc().splitlines()
        finally:
            signal.alarm(0)
            stop_all()
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(result, json.dumps([passed, lines])[:60000].encode())
        os._exit(0)

    def place(self, trace):
        """file:line of the test's own file where it failed, the innermost."""
        own, line = self.function.__code__.co_filename, 0
        for frame, number in traceback.walk_tb(trace):
            line = number if frame.f_code.co_filename == own else line
        return f"{os.path.basename(own)}:{line}" if line else "the lab"

    def too_late(self, _, frame):
        from .tap import Failed
        raise Failed(f"expected to end within {self.seconds} s, and had not")


def own_mounts():
    """Mounts made by a test must not be seen outside. In a chroot / is no mount, and becomes one first."""
    if _libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        root = os.getcwd()
        _libc.mount(b"/", b"/", None, MS_BIND | MS_REC, None)
        _libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)
        os.chdir(root)
    if _libc.mount(b"proc", b"/proc", b"proc", 0, None) != 0:
        raise OSError(ctypes.get_errno(), "mounting /proc")
