"""A root of its own for a Debian package that cannot be installed beside the others (mail servers exclude each other).

    @lab.needs("exim4-daemon-light")
    def test_something(folder):
        root = Root(lab.Lab(folder), "exim4-daemon-light", users={"Debian-exim": 61101})
        root.start(["/usr/sbin/exim4", "-bdf"], log, host)

The package and those of its dependencies which are missing here are downloaded by apt-get, once, and unpacked below
build/roots, before the test's cell is made (there is no way out of it); no script of theirs is run. The root is an overlay:
this system below, the package on top, in memory. Where an overlay cannot be mounted, it is a folder with the package, the
libraries that its programs need, and a few files of /etc. Either way it belongs to the test's mount namespace and vanishes
with it.
"""
import contextlib
import fcntl
import glob
import os
import re
import shutil
import subprocess

from .process import Process
from .tap import Failed

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
CACHE = os.environ.get("POSTERN_ROOTS", os.path.join(os.path.normpath(TOP), "build", "roots"))


def _run(*argv, why, **more):
    r = subprocess.run(argv, capture_output=True, text=True, errors="replace", **more)
    if r.returncode != 0:
        said = (r.stderr or r.stdout).strip().splitlines() or [f"it ended with {r.returncode}"]
        raise Failed(f"{why}: {said[-1]}")
    return r.stdout


def needs(*packages):
    """A test that is marked so finds these unpacked."""
    def mark(function):
        function.packages = packages
        return function
    return mark


def unpacked(package):
    """The folder with this package and what it needs beside this system."""
    tree = os.path.join(CACHE, package)
    if not os.path.isdir(tree):
        raise Failed(f"{package} is not there: the test must say that it needs it")
    return tree


def fetch(package):
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, package + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tree = os.path.join(CACHE, package)
        if not os.path.isdir(tree):
            _fetch(package, tree)


def _fetch(package, tree):
    archives, new = tree + ".debs", tree + ".new"
    for folder in (archives, new):
        shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(archives, "partial"))
    get = ["apt-get", "install", "--download-only", "--reinstall", "-yqq", "--no-install-recommends", "-o", "Debug::NoLocking=1",
           "-o", f"Dir::Cache::archives={archives}", "-o", "APT::Sandbox::User=root", package]
    try:
        _run(*get, why="apt-get")
    except Failed:
        subprocess.run(["apt-get", "update", "-qq"], capture_output=True)
        _run(*get, why=f"expected apt-get to deliver {package}")
    debs = glob.glob(os.path.join(archives, "*.deb"))
    if not any(os.path.basename(d).startswith(package + "_") for d in debs):
        raise Failed(f"expected apt-get to deliver {package}, and it delivered {len(debs)} other packages")
    os.makedirs(new)
    for deb in debs:
        _run("dpkg-deb", "-x", deb, new, why="dpkg-deb")
    os.rename(new, tree)
    shutil.rmtree(archives)


class Root:
    def __init__(self, lab, package, users, extra_programs=()):
        """users: {name: uid and gid} that the package's scripts would have made."""
        tree = unpacked(package)
        self.path = lab.path(f"root-{package}")
        os.makedirs(self.path)
        if os.environ.get("POSTERN_NO_OVERLAY") or not self.overlay():
            self.plain(tree, extra_programs)
        # Symbolic links of the root (lib, sbin) lead where they lead there, so files go in by name.
        for name in os.listdir(tree):
            self.copy(os.path.join(tree, name), name)
        os.makedirs(self.inside("proc"), exist_ok=True)
        for there in ("/dev", "/proc", lab.folder):
            os.makedirs(self.inside(there), exist_ok=True)
            _run("mount", "--rbind", there, self.inside(there), why=f"mounting {there}")
        for name, uid in users.items():
            self.add("etc/passwd", f"{name}:x:{uid}:{uid}::/nonexistent:/usr/sbin/nologin\n")
            self.add("etc/group", f"{name}:x:{uid}:\n")
        shutil.copy("/etc/resolv.conf", self.inside("etc/resolv.conf"), follow_symlinks=True)

    def inside(self, path):
        return os.path.join(self.path, path.lstrip("/"))

    def copy(self, source, name):
        """Copies a file or a tree into the root, through the links that the root has at its top."""
        target = self.inside(name)
        if os.path.islink(target):
            target = os.path.join(self.path, os.readlink(target).lstrip("/"))
        if os.path.isdir(source) and not os.path.islink(source):
            _run("cp", "-a", source + "/.", _made(target), why=f"copying {name}")
        else:
            _run("cp", "-a", source, target, why=f"copying {name}")

    def add(self, name, text):
        with open(self.inside(name), "a") as f:
            f.write(text)

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.inside(name)), exist_ok=True)
        with open(self.inside(name), "w") as f:
            f.write(text)
        os.chmod(self.inside(name), mode)

    def overlay(self):
        """This system, with all changes in memory. False where that cannot be mounted."""
        memory = self.path + ".memory"
        os.makedirs(memory)
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "none", memory, why="mounting a tmpfs")
        for folder in ("upper", "work"):
            os.mkdir(os.path.join(memory, folder))
        r = subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                            f"lowerdir=/,upperdir={memory}/upper,workdir={memory}/work", self.path], capture_output=True)
        if r.returncode != 0:
            subprocess.run(["umount", memory])
        return r.returncode == 0

    def plain(self, tree, extra_programs):
        """What the package's programs need, and no more."""
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "none", self.path, why="mounting a tmpfs")
        for folder in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "var/spool", "var/log", "var/lib", "run", "tmp"):
            os.makedirs(self.inside(folder))
        os.chmod(self.inside("tmp"), 0o1777)
        for name in ("bin", "sbin", "lib", "lib64"):
            os.symlink("usr/" + name, self.inside(name))
        for name in ("passwd", "group", "nsswitch.conf", "services", "protocols", "hosts", "localtime", "mailname"):
            if os.path.exists("/etc/" + name):
                shutil.copy("/etc/" + name, self.inside("etc/" + name))
        os.symlink("/run", self.inside("var/run"))
        programs = ["/bin/sh", *extra_programs]
        for folder, _, files in os.walk(tree):
            programs += [os.path.join(folder, f) for f in files if os.access(os.path.join(folder, f), os.X_OK) or ".so" in f]
        libraries = ":".join(sorted({os.path.dirname(p) for p in programs if ".so" in p}))
        for program in programs:
            if program in ("/bin/sh", *extra_programs):
                shutil.copy(program, self.inside(program))
            out = subprocess.run(["ldd", program], capture_output=True, text=True,
                                 env={**os.environ, "LD_LIBRARY_PATH": libraries}).stdout
            for library in re.findall(r"(/\S+) \(0x", out):
                if not library.startswith(tree) and not os.path.exists(self.inside(library)):
                    os.makedirs(os.path.dirname(os.path.realpath(self.inside(os.path.dirname(library)))), exist_ok=True)
                    os.makedirs(os.path.join(self.path, os.path.dirname(library).lstrip("/")), exist_ok=True)
                    shutil.copy(library, self.inside(library))

    def start(self, argv, log, host):
        return Process(["chroot", self.path, *argv], log, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}, host=host)

    def run(self, argv, host=None):
        with host.inside() if host else contextlib.nullcontext():
            return subprocess.run(["chroot", self.path, *argv], capture_output=True, text=True, errors="replace")


def _made(path):
    os.makedirs(path, exist_ok=True)
    return path
