"""Namespaces and addresses of the matrix.

One switch; behind it each daemon in a namespace of its own, and beside it three more for speakers of ours: `a`, and `b` and `c` where a
cell needs them. So the columns of the matrix can run at the same time. Every session has a network of its own, so that one daemon
can have all sessions of all cells configured at once:

    172.(16+D).N.1   fd00:D:N::1    daemon number D, in session N
    172.(16+D).N.2   fd00:D:N::2    the speaker in a; .3 in b, .4 in c
"""
import os
import subprocess
import time

PREFIX = "korat-mx-"
PATIENCE = float(os.environ.get("KORAT_PATIENCE", 30))    # seconds; a developer may want less
HOSTS = {"a": 2, "b": 3, "c": 4}


def run(*cmd, check=True, stdin=None, timeout=30):
    r = subprocess.run([str(c) for c in cmd], capture_output=True, text=True, timeout=timeout, input=stdin)
    if check and r.returncode:
        raise AssertionError(f"{' '.join(map(str, cmd))}: exit {r.returncode}\n{r.stdout}{r.stderr}")
    return r.stdout


def wait_for(what, probe, seconds=PATIENCE, every=0.03):
    """Polls until probe() is true and returns its value. `what` may be a function: it is called when waiting was in vain."""
    end = time.monotonic() + seconds
    while not (value := probe()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for: {what() if callable(what) else what}")
        time.sleep(every)
    return value


def stays(what, probe, seconds=0.5):
    """The opposite: probe() is true now and remains so for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert probe(), f"did not last: {what}"
        time.sleep(0.05)


def namespace(name):
    return PREFIX + name


def address(daemon, session, host, v6):
    return f"fd00:{daemon}:{session}::{host}" if v6 else f"172.{16 + daemon}.{session}.{host}"


def inside(name, *cmd):
    return ["ip", "netns", "exec", namespace(name), *map(str, cmd)]


def beside(daemon, host):
    """The namespace of one of our speakers, next to this daemon."""
    return f"{daemon}-{host}"


class Net:
    """All namespaces, up until down(). `plan`: {daemon name: (number, how many sessions)}."""

    def __init__(self, plan):
        self.hosts = {}         # {namespace: its addresses, as `ip` takes them}
        for daemon, (number, sessions) in plan.items():
            self.hosts[daemon] = list(self._addresses(number, sessions, 1))
            for host, last in HOSTS.items():
                self.hosts[beside(daemon, host)] = list(self._addresses(number, sessions, last))

    def up(self):
        self.down()
        for name in ["switch", *self.hosts]:
            run("ip", "netns", "add", namespace(name))
            self._batch(name, ["link set lo up"])
        self._batch("switch", ["link add name br0 type bridge", "link set br0 up"])
        for i, (name, addresses) in enumerate(self.hosts.items()):
            run("ip", "link", "add", "eth0", "netns", namespace(name), "type", "veth", "peer", "name", f"port{i}", "netns",
                namespace("switch"))
            self._batch("switch", [f"link set port{i} master br0 up"])
            self._batch(name, ["link set eth0 up", *addresses])
        return self

    def down(self):
        for name in ["switch", *self.hosts]:
            run("ip", "netns", "del", namespace(name), check=False)

    def _addresses(self, number, sessions, host):
        for n in range(1, sessions + 1):
            yield f"addr add {address(number, n, host, False)}/24 dev eth0"
            yield f"addr add {address(number, n, host, True)}/64 dev eth0 nodad"

    def _batch(self, name, lines):
        run("ip", "-n", namespace(name), "-batch", "-", stdin="".join(f"{x}\n" for x in lines))
