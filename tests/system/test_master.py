#!/usr/bin/python3
"""Starting, refusing to start, going to the background, and telling a service manager."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import re  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
from lab.hosts import POSTERN  # noqa: E402


def house(folder, extra="", start=True):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    return net, lab.Postern(net, net.postern_conf(extra), start=start)


def run(postern, *words, env=None):
    return postern.host.run([postern.program, "--base", postern.base, "-c", postern.conf_file, *words], capture_output=True,
                            text=True, timeout=60, env=env)


def refused(postern, *said):
    r = run(postern)
    lab.equal(r.returncode, 78, "the exit status; it said: " + r.stderr)
    for words in said:
        lab.check(words in r.stderr, f"{words!r} in {r.stderr!r}")
    nameless = [line for line in r.stderr.splitlines() if not re.match(r"postern(-[a-z]+)?: |\S+ \S+ postern/|postern/", line)]
    lab.equal(nameless, [], "lines that do not say who says them")
    lab.equal(postern.processes(), {}, "processes left behind")


def test_mistakes_are_told_and_nothing_starts(folder):
    net, postern = house(folder, start=False)
    good = open(postern.conf_file).read()
    postern.configure(good + "smtpd { max-recipient = 5 }\n")
    refused(postern, "postern.conf:", "max-recipients")
    postern.configure(good + 'table "t" { file = "/nonexistent/table" }\nrule "r" { to = {"@t"} }\n')
    refused(postern, "/nonexistent/table")
    with open(os.path.join(folder, "table"), "w") as f:
        f.write("good.example\nbad@@pattern\n")
    postern.configure(good + f'table "t" {{ file = "{folder}/table" }}\nrule "r" {{ to = {{"@t"}} }}\n')
    refused(postern, f"{folder}/table:2: ")
    postern.configure(good.replace("uid-base = 64100", ""))
    # All of them at once, and what makes them all.
    refused(postern, "there is no account postern-log, postern-", "postern-vault", "postern-auth; ", "systemd-sysusers",
            "postern.sysusers")
    postern.configure(good.replace(f'"{POSTERN}"', '"192.0.2.222"', 1))
    refused(postern, "cannot listen on 192.0.2.222", "no interface of this machine has this address")
    for word, said in (("-x", "-x is no option"), ("--nosuch", "--nosuch is no option"), ("-c", "-c needs a value")):
        r = postern.host.run([postern.program, word], capture_output=True, text=True)
        lab.equal((r.returncode, r.stderr), (64, f"postern: {said}; --help tells the options\n"), "an option that is wrong")
    r = postern.host.run([postern.program, "-n", "--base", "here"], capture_output=True, text=True)
    lab.check(r.returncode == 64 and "--base here: write the whole path" in r.stderr, f"a base that is no whole path: {r!r}")


def test_a_port_in_use_is_told(folder):
    net, postern = house(folder, start=False)
    with lab.net.listener(POSTERN, 25):
        refused(postern, POSTERN, "port 25", "in use")


def test_one_instance_a_place(folder):
    net, postern = house(folder)
    r = run(postern)
    lab.equal(r.returncode, 78, "the exit status of a second one")
    lab.check("another Postern runs" in r.stderr, r.stderr)
    lab.check(postern.ctl_rows("status"), "the first one is untouched")


def test_daemon(folder):
    net, postern = house(folder, start=False)
    r = run(postern, "-d")
    lab.equal(r.returncode, 78, "the exit status with a log on stderr")
    lab.check("log" in r.stderr, r.stderr)
    postern.configure(net.postern_conf(f'log {{ to = "{folder}/postern.log" }}\n'))
    r = run(postern, "-d")
    lab.equal(r.returncode, 0, "the exit status once everything is ready: " + r.stderr)
    rows = postern.ctl_rows("status")
    lab.check(all(r["state"] in ("ready", "running") for r in rows if "role" in r), f"ready at once: {rows}")
    number = open(os.path.join(postern.base, "run", "lock")).readline().strip()
    lab.equal(os.readlink(f"/proc/{number}/exe"), os.path.realpath(postern.program), "the process that the lock's file names")
    lab.check("started" in open(f"{folder}/postern.log").read(), "the log in its file, though only root may make files there")
    postern.ctl("reload")
    postern.ctl("stop")
    lab.wait_for(lambda: not postern.processes(), "everything to end")


def test_a_listener_moves_away_and_back(folder):
    net, postern = house(folder)
    here = open(postern.conf_file).read()
    for conf, port, gone in ((here.replace("port = 25 }", "port = 26 }"), 26, 25), (here, 25, 26)):
        postern.configure(conf)
        postern.ctl("reload")
        with lab.Client(POSTERN, port):
            pass
        with socket.socket() as s:
            lab.check(s.connect_ex((POSTERN, gone)) != 0, f"port {gone} is closed")


def test_reload_of_a_folder_is_refused(folder):
    net, postern = house(folder)
    postern.configure(open(postern.conf_file).read() + 'include("/tmp")\n')
    r = postern.ctl("reload", check=False)
    lab.check(r.returncode != 0 and "not a regular file" in r.stderr, f"refused with words: {r.stderr!r}")
    lab.check(postern.ctl_rows("status"), "the house still stands")


def test_service_manager_is_told(folder):
    net, postern = house(folder, start=False)
    path = os.path.join(folder, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(20)
        child = postern.host.start([postern.program, "--base", postern.base, "-c", postern.conf_file],
                                   env=dict(os.environ, NOTIFY_SOCKET=path, WATCHDOG_USEC="2000000"),
                                   stderr=open(os.path.join(folder, "log"), "w"))
        try:
            def until(words):
                for _ in range(20):
                    said = s.recv(4096).decode()
                    if words in said:
                        return said
                lab.fail(f"no {words}")
            lab.check(f"MAINPID={child.pid}" in until("READY=1"), "the main process")
            until("WATCHDOG=1")
            child.send_signal(signal.SIGHUP)
            lab.check(re.search(r"MONOTONIC_USEC=\d+", until("RELOADING=1")), "when the reload began")
            until("READY=1")
            child.send_signal(signal.SIGTERM)
            until("STOPPING=1")
            lab.equal(child.wait(30), 0, "the exit status")
        finally:
            child.kill()
            child.wait()


def test_embedded_defaults(folder):
    net, postern = house(folder, start=False)
    child = postern.host.start([postern.program, "--base", postern.base, "-o", "uid-base=64100"],
                               stderr=open(os.path.join(folder, "log"), "w"))
    try:
        def greeted():
            try:
                with lab.Client("127.0.0.1", 2525, source=None, host=postern.host):
                    return True
            except OSError:
                return False
        lab.wait_for(greeted, "a greeting on port 2525")
    finally:
        child.terminate()
        lab.equal(child.wait(40), 0, "the exit status")


lab.main(globals())
