"""What a cell can ask of any daemon: a small common interface, and the values in it."""
import dataclasses
import os
import pathlib
import signal
import subprocess

from .net import HOSTS, address, inside, wait_for
from .speaker import TOP

ASN = 65001     # of every daemon
FOUR = 4200000001       # an AS number that needs four bytes


PEERS = TOP / "build-peers"      # where tools/packages unpacks the daemons that cannot be installed beside the others


@dataclasses.dataclass
class Session:
    """One neighbour of a daemon, from the daemon's point of view. `n`, `daemon` and `name` are filled in by the table."""
    asn: int = 64512            # the neighbour's: ours
    at: str = "a"               # the namespace the neighbour is in
    v6: bool = False            # the transport
    families: str = ""          # "4", "6" or "46"; "" = that of the transport
    passive: bool = True        # the daemon waits for us to dial
    hold: int = 90
    password: str = ""
    gtsm: bool = False
    restart: int = 0            # graceful restart, seconds
    notification: bool = False  # RFC 8538
    llgr: int = 0               # seconds
    add_path: str = ""          # "recv", "send" (what the daemon does)
    client: bool = False        # the daemon reflects for us
    max_prefixes: int = 0
    role: str = ""              # the daemon's own: provider, customer, peer, rs, rs-client
    local_asn: int = 0
    ext_message: bool = False
    ext_nexthop: bool = False
    our_port: int = 179
    n: int = 0
    number: int = 0             # of the daemon

    @property
    def ibgp(self):
        return self.asn == (self.local_asn or ASN)

    @property
    def theirs(self):
        return address(self.number, self.n, 1, self.v6)

    @property
    def ours(self):
        return address(self.number, self.n, HOSTS[self.at], self.v6)

    @property
    def afs(self):
        return self.families or ("6" if self.v6 else "4")

    @property
    def name(self):
        return f"n{self.n}"


@dataclasses.dataclass(frozen=True)
class Static:
    """A route the daemon announces to everybody. `ext` has route targets, "rt:ASN:N"."""
    prefix: str
    communities: tuple = ()
    large: tuple = ()
    ext: tuple = ()
    med: int = 0

    @property
    def v6(self):
        return ":" in self.prefix


WELL_KNOWN = {"no-export": "65535:65281", "no_export": "65535:65281", "no-advertise": "65535:65282", "no_advertise": "65535:65282",
              "graceful-shutdown": "65535:0", "graceful_shutdown": "65535:0", "llgr-stale": "65535:6", "llgr_stale": "65535:6"}


def communities(words):
    """As numbers, whatever names a daemon has for the well-known ones."""
    return {WELL_KNOWN.get(str(w).lower(), w) for w in words}


@dataclasses.dataclass
class Route:
    """What a daemon says of a route it took from us."""
    prefix: str
    as_path: list
    next_hop: str
    local_pref: int = None
    med: int = None
    communities: set = dataclasses.field(default_factory=set)
    large: set = dataclasses.field(default_factory=set)
    ext: set = dataclasses.field(default_factory=set)
    originator: str = None
    clusters: list = dataclasses.field(default_factory=list)
    otc: int = None
    path_id: int = None
    text: str = ""


class Lines:
    """A daemon's standard output, kept in a file."""

    def __init__(self, path):
        self.path = path
        path.touch()

    def text(self, since=0):
        with self.path.open("rb") as f:
            f.seek(since)
            return f.read().decode(errors="replace")

    @property
    def end(self):
        return self.path.stat().st_size


class Daemon:
    """One daemon with all its sessions. Subclasses say how it is written down, started and asked."""
    name = ""           # also its namespace
    number = 0
    program = ""        # must exist, or the tests of this daemon are skipped
    has_rib = True      # it passes on what it hears
    sends_text = True   # its shutdown can carry a text
    answers_refresh = True
    honours_no_export = True
    keeps_forwarding = True     # says so (the F bit) when a session comes back although it was not restarted
    v6_over_v4 = True   # it tells IPv6 routes in a session over IPv4
    guards_ttl = True   # on connections it accepts, too
    returns = True      # soon after it has reset a session
    says = {"max-prefix": "prefixes"}    # how it words what it was told

    def __init__(self, path, sessions, statics):
        self.dir = pathlib.Path(path)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.sessions = sessions
        self.statics = list(statics)
        self.out = Lines(self.dir / "out")
        self.procs = []

    def shows(self, text):
        """What it says when a NOTIFICATION with this text comes."""
        return text

    # How a cell talks to it.
    def start(self, restarted=False):
        """Starts it and waits until it answers. `restarted`: it comes back after being killed, for graceful restart."""
        raise NotImplementedError

    def routes(self, s):
        """{prefix: [Route, ...]} it has taken from this session."""
        raise NotImplementedError

    def up(self, s):
        raise NotImplementedError

    def announce(self, *statics):
        self.statics = [x for x in self.statics if x.prefix not in {s.prefix for s in statics}] + list(statics)
        self.changed(added=statics)

    def withdraw(self, *prefixes):
        gone = [x for x in self.statics if x.prefix in prefixes]
        self.statics = [x for x in self.statics if x.prefix not in prefixes]
        self.changed(gone=gone)

    def changed(self, added=(), gone=()):
        raise NotImplementedError

    def ask_refresh(self, s):
        raise NotImplementedError

    def shutdown(self, s, text):
        """Ends a session with Cease/Administrative Shutdown and this text."""
        raise NotImplementedError

    def enable(self, s):
        """Takes it back."""
        raise NotImplementedError

    def reset(self, s):
        """Ends a session with a NOTIFICATION; it may come back at once."""
        raise NotImplementedError

    def heard(self, since=0):
        """What it has logged."""
        return self.out.text(since)

    def stop(self):
        self._end(signal.SIGTERM)

    def kill(self):
        self._end(signal.SIGKILL)

    def freeze(self):
        """Not a word any more, but TCP stays."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self):
        self._signal_all(signal.SIGCONT)

    def hold(self, s):
        """The hold time agreed, in its own words; None if it says none."""
        return None

    # For subclasses.
    def spawn(self, *cmd, env=None):
        with self.out.path.open("ab") as f:
            p = subprocess.Popen(inside(self.name, *cmd), stdout=f, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env,
                                 cwd=self.dir, start_new_session=True)
        self.procs.append(p)
        return p

    def ask(self, *cmd, check=False, env=None):
        r = subprocess.run(inside(self.name, *cmd), capture_output=True, text=True, timeout=30, env=env)
        if check and r.returncode:
            raise AssertionError(f"{' '.join(map(str, cmd))}: {r.stdout}{r.stderr}")
        return r.stdout

    def answers(self, probe):
        wait_for(lambda: f"{self.name} answers; it said: {self.out.text()[-2000:]}",
                 lambda: all(p.poll() is None for p in self.procs) and probe())

    def _signal_all(self, how):
        for p in self.procs:
            os.killpg(p.pid, how)       # a session and group of its own: see spawn()

    def _end(self, how):
        for p in self.procs:
            if p.poll() is None:
                p.send_signal(how)
        for p in self.procs:
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait(10)
        self.procs = []
