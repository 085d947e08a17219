"""Disks that fail: an ext4 on an image in a tmpfs, all in the namespaces of the test, so that nothing of it stays behind.

    disk = Disk(lab.path("postern", "spool"), megabytes=64)
    disk.cut(); ...; disk.again()       the power goes: what was not synced is lost; then the disk is mounted again
    disk.fill(); disk.free()            the disk beneath is full: writes are taken, and fail when they are synced
    disk.quota(uid, blocks, inodes)     limits for one user
"""
import ctypes
import fcntl
import os
import struct
import subprocess

from .tap import Failed, wait_for

EXT4_IOC_SHUTDOWN = 0x8004587D          # _IOR('X', 125, __u32)
NOLOGFLUSH = 2                          # not even the journal is written
Q_SETQUOTA = 0x800008
QIF_LIMITS = 5


def mount(*words):
    r = subprocess.run(["mount", *words], capture_output=True, text=True)
    if r.returncode != 0:
        raise Failed(f"mount {' '.join(words)}: {r.stderr.strip()}")


class Disk:
    """mkfs and options: further words for mkfs.ext4 and mount -o. backing: MiB of the tmpfs; by default the whole image fits."""

    def __init__(self, at, megabytes=64, backing=None, mkfs=(), options="", mode=0o700):
        self.at, self.options = at, options
        self.below = at + ".disk"
        os.makedirs(at, exist_ok=True)
        os.makedirs(self.below, exist_ok=True)
        mount("-t", "tmpfs", "-o", f"size={backing or megabytes + 8}m", "tmpfs", self.below)
        self.image = os.path.join(self.below, "image")
        with open(self.image, "wb") as f:
            f.truncate(megabytes << 20)
        # Journal and tables are written out now: when the tmpfs is full it is the data that finds no room.
        r = subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard",
                            *mkfs, self.image], capture_output=True, text=True)
        if r.returncode != 0:
            raise Failed("mkfs.ext4: " + r.stderr.strip())
        self.mount()
        os.chmod(at, mode)

    def mount(self):
        mount("-o", ",".join(filter(None, ("loop", self.options))), self.image, self.at)

    def umount(self):
        """Threads of a killed process may take a moment to let go of their files."""
        def done():
            r = subprocess.run(["umount", self.at], capture_output=True, text=True)
            return r.returncode == 0 or "busy" not in r.stderr
        wait_for(done, f"nobody to hold {self.at}; it is held by {holders(self.at)}", 10)

    def cut(self):
        """The file system stops at once, like a machine without power. Calls on it fail from now on."""
        fd = os.open(self.at, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(fd)

    def again(self):
        """The power is back. Nobody may have files open there."""
        self.umount()
        self.mount()

    def check(self):
        """Is the file system itself whole? (Unmounted meanwhile.)"""
        self.umount()
        r = subprocess.run(["e2fsck", "-fn", self.image], capture_output=True, text=True)
        self.mount()
        if r.returncode != 0:
            raise Failed("e2fsck: " + (r.stdout + r.stderr).strip()[-400:])

    def fill(self, leave=0):
        """All of the tmpfs but `leave` bytes is taken."""
        s = os.statvfs(self.below)
        with open(os.path.join(self.below, "filler"), "ab") as f:
            os.posix_fallocate(f.fileno(), 0, os.fstat(f.fileno()).st_size + s.f_bavail * s.f_frsize - leave)

    def free(self):
        os.unlink(os.path.join(self.below, "filler"))

    def quota(self, uid, blocks, inodes=0):
        """Hard limits in KiB and files; 0: none."""
        libc = ctypes.CDLL(None, use_errno=True)
        device = subprocess.run(["findmnt", "-n", "-o", "SOURCE", self.at], capture_output=True, text=True).stdout.strip()
        limits = struct.pack("QQQQQQQQII", blocks, blocks, 0, inodes, inodes, 0, 0, 0, QIF_LIMITS, 0)
        if libc.quotactl(Q_SETQUOTA << 8, device.encode(), uid, ctypes.create_string_buffer(limits)) != 0:
            raise Failed("quotactl: " + os.strerror(ctypes.get_errno()))


def fill_up(file, leave=0):
    """Writes to the file until its disk is full, then takes `leave` bytes back."""
    with open(file, "wb", buffering=0) as f:
        for piece in (1 << 20, 1 << 16, 1 << 12, 1 << 12, 1 << 12):
            try:
                while f.write(bytes(piece)):
                    pass
            except OSError:
                os.fsync(f.fileno())        # what was reserved for the worst case becomes free only now
        f.truncate(max(0, f.tell() - leave))


def holders(path):
    """{pid: program} of who has something open beneath path."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            links = [os.readlink(f"/proc/{pid}/{x}") for x in ("cwd", "root")]
            links += [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            if any(link.startswith(path) for link in links):
                with open(f"/proc/{pid}/comm") as f:
                    found[int(pid)] = f.read().strip()
        except OSError:
            continue
    return found
