#!/usr/bin/python3
"""The installed programs as readelf sees them: what protects them (configure.ac), whom they link, what they can call."""
import os
import re
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
from lab.postern import STAGE  # noqa: E402

ROOMS = ["log", "control", "router", "resolver", "queue", "smtpd", "deliver", "local", "mailbox", "vault", "auth"]

# Beside these: the C library, libevent, libseccomp, libsodium and libxxhash, which common needs.
COMMON = {"libc.so.6", "libevent-2.1.so.7", "libseccomp.so.2", "libsodium.so.23", "libxxhash.so.0", "ld-linux-x86-64.so.2"}
OWN = {"postern": {"libconfuse.so.2", "libssl.so.3", "libcrypto.so.3", "libidn2.so.0", "libunistring.so.2"},
       "posternctl": {"libjansson.so.4", "libunistring.so.2"},
       "postern-control": {"libidn2.so.0", "libunistring.so.2"},    # through lists of networks, for posternctl clients
       "postern-resolver": {"libunbound.so.8"}, "postern-router": {"libidn2.so.0", "libunistring.so.2"},
       "postern-smtpd": {"libssl.so.3", "libcrypto.so.3", "libidn2.so.0", "libunistring.so.2"},
       "postern-vault": {"libcrypto.so.3"}, "postern-auth": {"libunistring.so.2"}}

# Whoever makes a process, changes who it is or loads code; in a room the filter kills for it, and it is not even linked.
PRIVILEGED = {"fork", "vfork", "execve", "execv", "execvp", "execl", "execlp", "execle", "execveat", "fexecve", "posix_spawn",
              "posix_spawnp", "system", "popen", "dlopen", "dlmopen", "ptrace", "mount", "listen", "bpf", "process_vm_readv"}
# Never, whoever it is.
BANNED = {"strcpy", "strcat", "strncpy", "strncat", "stpcpy", "sprintf", "vsprintf", "gets", "sscanf", "__isoc99_sscanf",
          "strtok", "atoi", "atol", "atoll", "getaddrinfo", "gethostbyname", "system", "popen", "wordexp", "tmpnam", "tempnam",
          "mktemp", "rand", "random", "syslog", "setjmp", "_setjmp", "longjmp", "mprotect", "sigaction", "dlopen", "usleep"}


def programs():
    folders = [os.path.join(STAGE, "sbin"), os.path.join(STAGE, "libexec", "postern")]
    found = {name: os.path.join(f, name) for f in folders for name in os.listdir(f)}
    lab.equal(set(found), {"postern", "posternctl"} | {f"postern-{room}" for room in ROOMS}, "the programs that are installed")
    return found


def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, path], capture_output=True, text=True, check=True).stdout


def calls(path):
    """The functions that the program takes from libraries."""
    return set(re.findall(r"FUNC\s+(?:GLOBAL|WEAK)\s+DEFAULT\s+UND\s+(\w+)", readelf("--dyn-syms", path)))


def test_memory_and_linking(folder):
    for name, path in programs().items():
        dynamic, segments = readelf("-d", path), readelf("-l", path)
        lab.check(re.search(r"Type:\s+DYN", readelf("-h", path)) and "PIE" in dynamic, f"{name}: position independent")
        lab.check("BIND_NOW" in dynamic and re.search(r"FLAGS_1.*NOW", dynamic), f"{name}: bound at the start")
        lab.check("GNU_RELRO" in segments, f"{name}: read-only relocations")
        lab.check(re.search(r"GNU_STACK\s+.* RW +0x", segments), f"{name}: a stack that does not execute")
        lab.equal(re.findall(r"^\s+LOAD.* (RWE| WE).*", segments, re.M), [], f"{name}: no segment both written and executed")
        first = re.search(r"LOAD\s+(?:0x\w+\s+){5}(\S+(?: E)?)", segments).group(1)
        lab.check("E" not in first, f"{name}: its headers are not code (separate-code)")
        for bad in ("TEXTREL", "RPATH", "RUNPATH"):
            lab.check(bad not in dynamic or os.environ.get("POSTERN_LIBUNBOUND"), f"{name}: no {bad}")


def test_compiler_protections(folder):
    for name, path in programs().items():
        from_libraries = calls(path)
        lab.check("__stack_chk_fail" in from_libraries, f"{name}: stack protector")
        lab.check([f for f in from_libraries if re.fullmatch(r"__\w+_chk", f)], f"{name}: fortified calls")
        # Those that depend on no size have no excuse.
        lab.equal(from_libraries & {"fprintf", "printf", "dprintf"}, set(), f"{name}: prints that are not fortified")
        if os.uname().machine == "x86_64":
            # Debian's own start files lack the note that would switch it on, so it is looked for in the code: endbr64.
            with open(path, "rb") as f:
                lab.check(f.read().count(b"\xf3\x0f\x1e\xfa") > 20, f"{name}: CET landing pads")


def test_files(folder):
    for name, path in programs().items():
        st = os.lstat(path)
        lab.check(stat.S_ISREG(st.st_mode), f"{name}: a file")
        lab.equal(st.st_mode & (stat.S_ISUID | stat.S_ISGID | 0o022), 0, f"{name}: neither set-id nor writable by others")
        lab.equal(os.listxattr(path), [], f"{name}: no capabilities")


def test_libraries(folder):
    for name, path in programs().items():
        needed = set(re.findall(r"NEEDED.*\[(.*)\]", readelf("-d", path)))
        lab.equal(needed - COMMON - OWN.get(name, set()), set(), f"{name}: libraries that it has no business with")


def test_calls(folder):
    for name, path in programs().items():
        used = calls(path)
        lab.equal(used & BANNED, set(), f"{name}: banned calls")
        if name not in ("postern", "posternctl"):
            lab.equal(used & PRIVILEGED, set(), f"{name}: calls that a room cannot make")


lab.main(globals())
