"""The rows of the matrix: one function each.

A cell gets a Context: the daemon, its sessions, and speakers of ours that are started for this cell alone. The daemon runs all the
time, with the sessions of all cells configured; what it announces are STATICS and what a cell adds.
"""
import contextlib
import dataclasses
import time

import evil

from .net import HOSTS, address, beside, stays, wait_for
from .peer import ASN, FOUR, Session, Static
from .speaker import Speaker

CELLS = []


@dataclasses.dataclass
class Cell:
    name: str
    what: str
    run: object
    sessions: list
    lacks: dict     # {daemon: why the cell cannot be}; the cell is skipped
    partly: dict    # {daemon: what of the cell is left out}; an attribute of the daemon tells the cell
    without: dict   # {daemon: why}; instead: the session comes up although we offer it
    offer: tuple    # how we offer it: words of the peer's line, words of the speaker's configuration
    agreed: str     # the word of speaker_drive that must not be agreed then


def cell(name, what, *sessions, lacks=None, partly=None, without=None, offer=("", ""), agreed=""):
    def add(run):
        CELLS.append(Cell(name, what, run, list(sessions), lacks or {}, partly or {}, without or {}, offer, agreed))
        return run
    return add


def plain(number):
    return [Static(f"10.{number}.0.0/24"), Static(f"fd01:{number}::/48")]


def statics(number):
    """What a daemon announces from the start."""
    return plain(number) + [
        Static(f"10.{number}.1.0/24", communities=(f"{ASN}:100", f"{ASN}:200")),
        Static(f"10.{number}.2.0/24", large=(f"{ASN}:1:2",)),
        Static(f"10.{number}.3.0/24", ext=(f"rt:{ASN}:300",)),
        Static(f"10.{number}.4.0/24", communities=("65535:65281",)),
        Static(f"10.{number}.5.0/24", communities=("65535:65282",)),
        Static(f"10.{number}.6.0/24", communities=("65535:0",)),
    ]


ROUTER = {"a": "198.51.100.2", "b": "198.51.100.3", "c": "198.51.100.4"}
EXA_REFRESH = "ExaBGP 4.2.21 fails at any ROUTE-REFRESH it receives ('EXABGP MISBEHAVED') and ends the session"
EXA_TEXT = "ExaBGP fails to decode the text, and says so"
NO_REFRESH = "OpenBGPD 7.7 refuses every ROUTE-REFRESH, BIRD's as well: 'AID IPv4 unicast not negotiated'"
NO_RIB = "ExaBGP has no routing table: it only says what it hears"


class Context:
    def __init__(self, daemon, sessions, path):
        self.d, self.all, self.path = daemon, sessions, path
        self.s = sessions[0]
        self.started, self.closing = [], []

    # Prefixes of this cell.
    @property
    def theirs4(self):
        return f"10.{self.d.number}.0.0/24"

    @property
    def theirs6(self):
        return f"fd01:{self.d.number}::/48"

    def theirs(self, i):
        return f"10.{self.d.number}.{i}.0/24"

    def mine4(self, i=0):
        return f"10.{100 + self.d.number}.{self.s.n}.{16 * i}/28"

    def mine6(self, i=0):
        return f"fd02:{self.d.number}:{self.s.n}:{i + 1}::/64"

    def address(self, where, v6=False):
        """Of one of our namespaces, in the network of the first session."""
        return address(self.d.number, self.s.n, HOSTS[where], v6)

    def speaker(self, where, asn, config=""):
        o = Speaker(beside(self.d.name, where), self.path / f"{where}{len(self.started)}.sock", asn, ROUTER[where], config)
        self.started.append(o)
        return o

    def peer(self, s, words=""):
        """The line that makes our side of a session. What is in `words` counts, being the later."""
        families = {"46": "both", "4": "v4", "6": "v6"}[s.afs]
        return f"peer {s.theirs} {s.local_asn or ASN} local {s.ours} name {self.d.name} {families} {words}".strip()

    def here(self, where="a"):
        return [s for s in self.all if s.at == where]

    def begin(self, words="", config="", origins=None, wait=True, where="a", asn=None, first=()):
        """A speaker with every session of this cell that is in its namespace; waits until they are up."""
        mine = self.here(where)
        o = self.speaker(where, asn or mine[0].asn, config)
        o.stated = [*first, *(self.peer(s, words) for s in mine),
                    *(f"origin {p}" for p in ([self.mine4(), self.mine6()] if origins is None else origins))]
        o.say(*o.stated, "stated")
        if wait:
            self.wait_up(o, *mine)
        return o

    def again(self, o, *instead):
        """Starts a killed speaker, which is told the same as before, or only the lines of `instead`."""
        o.start()
        o.say(*(instead or o.stated), "stated")

    def beside(self, a, where, asn, words="", b_words="", origins=(), config=""):
        """A second speaker of ours with a session to the first, through the network of the cell's first session."""
        b = self.speaker(where, asn, config)
        ours, its = self.address("a"), self.address(where)
        a_asn = int(a.config.split()[1])
        a.say(f"peer {its} {asn} local {ours} name {where} {words}")
        b.say(f"peer {ours} {a_asn} local {its} name a {b_words}", *(f"origin {p}" for p in origins), "stated")
        wait_for(lambda: f"our own speakers: {a.peer(its)}, {b.peer(ours)}", lambda: a.up(its) and b.up(ours))
        return b

    def raw(self, a, asn=64601):
        """A neighbour of ours that sends what a test wants: the session is up when this returns."""
        ours, its = self.address("a"), self.address("b")
        a.say(f"peer {its} {asn} local {ours} name raw")
        wait_for("the raw neighbour is known", lambda: a.peer(its))
        p = evil.Peer(its, ours, where="mx-" + beside(self.d.name, "b"))
        self.closing.append(p.s)
        p.send(evil.msg(evil.OPEN, evil.open_body(ROUTER["b"], asn=asn, params=evil.capability(1, b"\0\1\0\1") +
                                                  evil.capability(65, asn.to_bytes(4, "big")))))
        p.send(evil.msg(evil.KEEPALIVE))
        wait_for("the raw session", lambda: a.up(its))
        return p

    def wait_up(self, o, *sessions):
        sessions = sessions or [self.s]
        wait_for(lambda: f"Established on both sides: {[o.peer(s.theirs) for s in sessions]}",
                 lambda: o.up(*(s.theirs for s in sessions)) and all(self.d.up(s) for s in sessions))

    def wait_down(self, o, s=None):
        s = s or self.s
        return wait_for(lambda: f"the end of the session: {o.peer(s.theirs)}",
                        lambda: (p := o.peer(s.theirs)) and p["flaps"] and not p.up and p)

    def wait_reason(self, o, *words, s=None):
        """Our side gives this reason for a session that is, or was, down."""
        s = s or self.s
        wait_for(lambda: f"{words} in the reason: {o.peer(s.theirs)}",
                 lambda: all(w.lower() in o.peer(s.theirs).get("reason", "").lower() for w in words))

    def wait_ours(self, o, *prefixes):
        """Their routes are here."""
        wait_for(lambda: f"{prefixes} here; there is {o.routes()}, {o.peer(self.s.theirs)}", lambda: set(prefixes) <= set(o.routes()))

    def wait_theirs(self, *prefixes, s=None, probe=lambda route: True):
        """Our routes are there and as `probe` wants them; returns the first of each."""
        s = s or self.s

        def there():
            r = self.d.routes(s)
            return set(prefixes) <= set(r) and all(probe(r[p][0]) for p in prefixes) and r
        found = wait_for(lambda: f"{prefixes} at {self.d.name}; there is {self.d.routes(s)}", there)
        return [found[p][0] for p in prefixes]

    def wait_gone(self, *prefixes, s=None):
        s = s or self.s
        wait_for(lambda: f"{prefixes} gone from {self.d.name}; there is {self.d.routes(s)}",
                 lambda: not set(prefixes) & set(self.d.routes(s)))

    def wait_heard(self, since, *words):
        wait_for(lambda: f"{words} in what {self.d.name} says: {self.d.heard(since)[-2000:]}",
                 lambda: all(w.lower() in self.d.heard(since).lower() for w in words))

    def end(self):
        with contextlib.ExitStack() as stack:       # all of them, whatever one of them says
            for s in self.closing:
                stack.callback(s.close)
            for o in self.started:
                stack.callback(o.stop)


def not_offered(c, offer, agreed):
    """The daemon lacks it: we offer it, it is not agreed, and the session is none the worse."""
    words, config = offer
    o = c.begin(words, config)
    if agreed:
        assert agreed not in o.peer(c.s.theirs)["agreed"]
    c.wait_ours(o, c.theirs6 if c.s.v6 else c.theirs4)
    c.wait_theirs(c.mine6() if c.s.v6 else c.mine4())


# ---- sessions

@cell("session-v4", "session over IPv4", Session())
def session_v4(c):
    o = c.begin()
    assert o.peer(c.s.theirs)["hold"] == 90


@cell("session-v6", "session over IPv6", Session(v6=True))
def session_v6(c):
    o = c.begin()
    assert o.peer(c.s.theirs)["hold"] == 90


@cell("both-families", "both families in one session", Session(families="46"),
      lacks={"bird1": "BIRD 1.6 has a process per family"},
      partly={"openbgpd": "OpenBGPD tells the next hop ::1, so only our IPv6 routes are looked at"})
def both_families(c):
    o = c.begin("next-hop keep")
    assert o.peer(c.s.theirs)["families"] == 3
    c.wait_ours(o, c.theirs4, *([c.theirs6] if c.d.v6_over_v4 else []))
    o.say(f"origin {c.mine6(1)} via {address(c.d.number, c.s.n, 2, True)}")
    c.wait_theirs(c.mine4(), c.mine6(1))


def both_ways(c, theirs, mine, more, new):
    o = c.begin(origins=[mine])
    c.wait_ours(o, theirs)
    assert o.routes()[theirs] == f"via {c.s.theirs} from {c.s.theirs}"
    route, = c.wait_theirs(mine)
    assert route.as_path == [64512] and route.next_hop == c.s.ours
    c.d.announce(Static(new))
    c.wait_ours(o, new)
    c.d.announce(Static(new, med=77))
    wait_for("the change here", lambda: (p := o.path(new)) and p.med == 77)
    c.d.withdraw(new)
    wait_for("the withdrawal here", lambda: new not in o.routes())
    assert theirs in o.routes()
    o.say(f"origin {more}")
    c.wait_theirs(mine, more)
    o.say(f"origin-gone {mine}")
    c.wait_gone(mine)
    assert more in c.d.routes(c.s) and c.d.up(c.s)


@cell("routes-v4", "IPv4 routes both ways: announced, changed, withdrawn", Session())
def routes_v4(c):
    both_ways(c, c.theirs4, c.mine4(), c.mine4(1), f"10.{c.d.number}.130.0/24")


@cell("routes-v6", "IPv6 routes both ways: announced, changed, withdrawn", Session(v6=True))
def routes_v6(c):
    both_ways(c, c.theirs6, c.mine6(), c.mine6(1), f"fd01:{c.d.number}:130::/48")


@cell("internal", "iBGP: LOCAL_PREF, empty AS_PATH", Session(asn=ASN))
def internal(c):
    o = c.begin()
    c.wait_ours(o, c.theirs4)
    route, = c.wait_theirs(c.mine4())
    assert route.as_path == [] and route.local_pref == 100
    assert o.path(c.theirs4).as_path == [] and o.path(c.theirs4).local_pref == 100


@cell("both-dial", "both sides dial: one connection remains", Session(passive=False))
def both_dial(c):
    o = c.begin()
    c.wait_ours(o, c.theirs4)
    c.wait_theirs(c.mine4())
    assert c.d.up(c.s) and o.up(c.s.theirs)


@cell("passive-ours", "we wait, they dial", Session(passive=False))
def passive_ours(c):
    o = c.begin("passive")
    c.wait_ours(o, c.theirs4)


@cell("hold-theirs", "the smaller hold time holds: theirs", Session(hold=9))
def hold_theirs(c):
    o = c.begin("hold 90")
    assert o.peer(c.s.theirs)["hold"] == 9
    assert c.d.hold(c.s) in (9, None)


@cell("hold-ours", "the smaller hold time holds: ours", Session())
def hold_ours(c):
    o = c.begin("hold 12")
    assert o.peer(c.s.theirs)["hold"] == 12
    assert c.d.hold(c.s) in (12, None)


@cell("four-byte-as", "AS numbers of four bytes on both sides", Session(asn=FOUR, local_asn=FOUR + 1))
def four_byte_as(c):
    o = c.begin()
    assert "as4" in o.peer(c.s.theirs)["agreed"]
    c.wait_ours(o, c.theirs4)
    assert o.path(c.theirs4).as_path[0] == FOUR + 1
    route, = c.wait_theirs(c.mine4())
    assert route.as_path == [FOUR]


@cell("local-as", "local AS: to this peer we are another", Session(asn=64777))
def local_as(c):
    c.begin("local-as 64777", asn=64512)
    route, = c.wait_theirs(c.mine4())
    assert route.as_path[0] == 64777


def md5(c, mine):
    o = c.begin("password wrong", wait=False)
    stays("no session with a wrong key", lambda: not o.up(c.s.theirs) and not c.d.up(c.s), 1)
    o.say(c.peer(c.s, "password korat-and-others"))
    c.wait_up(o)
    c.wait_theirs(mine)


@cell("md5-v4", "TCP MD5 over IPv4; a wrong key does not pass", Session(password="korat-and-others", passive=False))
def md5_v4(c):
    md5(c, c.mine4())


@cell("md5-v6", "TCP MD5 over IPv6; a wrong key does not pass", Session(password="korat-and-others", passive=False, v6=True))
def md5_v6(c):
    md5(c, c.mine6())


@cell("gtsm", "GTSM (RFC 5082), and nothing from further away", Session(gtsm=True, passive=False),
      partly={"exabgp": "ExaBGP looks at the TTL only of connections that it dials, so nothing is tried from further away"})
def gtsm(c):
    o = c.begin("gtsm 1")
    c.wait_ours(o, c.theirs4)
    c.wait_theirs(c.mine4())
    if not c.d.guards_ttl:
        return
    o.say(c.peer(c.s, "ttl 64"))
    wait_for("the end of the session", lambda: not c.d.up(c.s))
    stays("no session with packets that look far away", lambda: not c.d.up(c.s), 1)


# ---- what is said about routes again



def settled(o, s):
    """The peer's counters once they no longer move: they are told at most once a second."""
    seen = [o.peer(s.theirs), time.monotonic()]

    def quiet():
        if o.peer(s.theirs) != seen[0]:
            seen[:] = o.peer(s.theirs), time.monotonic()
        return time.monotonic() - seen[1] > 1.2
    wait_for("counters that do not move", quiet)
    return seen[0]


def more(o, s, counter, than):
    wait_for(lambda: f"{counter} above {than[counter]}: {o.peer(s.theirs)}", lambda: o.peer(s.theirs)[counter] > than[counter])


def nothing_lost(c, o, changes):
    wait_for(lambda: f"nothing stale: {o.peer(c.s.theirs)}", lambda: o.peer(c.s.theirs)["stale"] == 0)
    stays("their routes here, ours there", lambda: c.theirs4 in o.routes() and c.mine4() in c.d.routes(c.s), 0.3)
    assert not [x for x in o.changes[changes:] if x.startswith("gone")]
    assert o.peer(c.s.theirs)["flaps"] == 0 and o.peer(c.s.theirs).up


def refresh_from_us(c, config):
    o = c.begin(config=config)
    c.wait_ours(o, c.theirs4)
    before, changes = settled(o, c.s), len(o.changes)
    o.say(f"refresh {c.s.theirs}")
    more(o, c.s, "updates_in", before)
    nothing_lost(c, o, changes)


@cell("refresh-ours", "route refresh, we ask", Session(), lacks={"openbgpd": NO_REFRESH, "exabgp": EXA_REFRESH})
def refresh_ours(c):
    refresh_from_us(c, "restart 60")


@cell("refresh-ours-no-restart", "route refresh, we ask, in a session without graceful restart", Session(),
      lacks={"openbgpd": NO_REFRESH, "exabgp": EXA_REFRESH})
def refresh_ours_no_restart(c):
    refresh_from_us(c, "")


@cell("refresh-theirs", "route refresh, they ask", Session(),
      lacks={"gobgp": "GoBGP never asks: it keeps all it heard"})
def refresh_theirs(c):
    o = c.begin()
    c.wait_ours(o, c.theirs4)
    c.wait_theirs(c.mine4())
    before, changes = settled(o, c.s), len(o.changes)
    c.d.ask_refresh(c.s)
    more(o, c.s, "updates_out", before)
    nothing_lost(c, o, changes)


@cell("refresh-out", "we tell them everything again, unasked", Session())
def refresh_out(c):
    o = c.begin()
    c.wait_ours(o, c.theirs4)
    c.wait_theirs(c.mine4())
    before, changes = settled(o, c.s), len(o.changes)
    o.say(f"refresh {c.s.theirs} out")
    more(o, c.s, "updates_out", before)
    nothing_lost(c, o, changes)


@cell("enhanced-refresh", "enhanced refresh (RFC 7313): agreed, both ask, nothing is swept that is still there", Session(restart=60),
      without={"gobgp": "GoBGP does not offer it"}, agreed="enhanced-refresh",
      partly={"openbgpd": "only they ask: " + NO_REFRESH, "exabgp": "only they ask: " + EXA_REFRESH})
def enhanced_refresh(c):
    o = c.begin(config="restart 60")
    assert "enhanced-refresh" in o.peer(c.s.theirs)["agreed"]
    c.wait_ours(o, c.theirs4)
    c.wait_theirs(c.mine4())
    before, changes = settled(o, c.s), len(o.changes)
    c.d.ask_refresh(c.s)
    more(o, c.s, "updates_out", before)
    if c.d.answers_refresh:
        o.say(f"refresh {c.s.theirs}")
        more(o, c.s, "updates_in", before)
    nothing_lost(c, o, changes)


# ---- restarts

def assert_untouched(o, since, prefix):
    """This route was all the time as it is: nothing else was told of it since."""
    told = {x for x in o.changes[since:] if x.split(" ")[1] == prefix}
    assert told <= {f"route {prefix} {o.routes().get(prefix)}"}, [x for x in o.lines if x.startswith("peer") or prefix in x]


@cell("graceful-restart-theirs", "graceful restart: they are killed, we keep their routes", Session(restart=60),
      without={"openbgpd": "OpenBGPD is only the helper: it names no family"}, offer=("", "restart 60"))
def graceful_restart_theirs(c):
    they_restart(c, c.theirs4, c.mine4())


@cell("graceful-restart-theirs-v6", "the same over IPv6", Session(restart=60, v6=True),
      without={"openbgpd": "OpenBGPD is only the helper: it names no family"}, offer=("", "restart 60"))
def graceful_restart_theirs_v6(c):
    they_restart(c, c.theirs6, c.mine6())


def they_restart(c, theirs, mine):
    o = c.begin(config="restart 60")
    assert "gr" in o.peer(c.s.theirs)["agreed"]
    c.wait_ours(o, theirs)
    c.wait_theirs(mine)
    since = len(o.changes)
    c.d.kill()
    c.wait_down(o)
    stays("their route here", lambda: theirs in o.routes(), 0.3)
    assert o.path(theirs).stale
    c.d.start(restarted=True)
    c.wait_up(o)
    wait_for(lambda: f"nothing stale: {o.peer(c.s.theirs)}", lambda: o.peer(c.s.theirs)["stale"] == 0)
    assert not o.path(theirs).stale
    assert_untouched(o, since, theirs)
    c.wait_theirs(mine)


@cell("graceful-restart-ours", "graceful restart: we are killed, they keep our routes", Session(restart=60),
      lacks={"exabgp": NO_RIB})
def graceful_restart_ours(c):
    o = c.begin(config="restart 60", origins=[c.mine4(), c.mine4(1)])
    c.wait_theirs(c.mine4(), c.mine4(1))
    o.kill()
    wait_for("they notice", lambda: not c.d.up(c.s))
    stays("our route there", lambda: c.mine4() in c.d.routes(c.s), 0.5)
    c.again(o, *[x for x in o.stated if c.mine4(1) not in x])
    wait_for("up again", lambda: c.mine4() in c.d.routes(c.s) and o.up(c.s.theirs) and c.d.up(c.s))
    wait_for(lambda: f"what we do not repeat is swept: {c.d.routes(c.s)}", lambda: list(c.d.routes(c.s)) == [c.mine4()])


@cell("gr-notification", "graceful restart with NOTIFICATION (RFC 8538): a hold time that runs out loses nothing",
      Session(restart=60, notification=True, hold=3),
      without={"bird2": "BIRD 2.0 knows no N bit", "bird1": "BIRD 1.6 knows no N bit", "exabgp": "ExaBGP knows no N bit",
               "openbgpd": "OpenBGPD 7.7 knows no N bit"}, offer=("", "restart 60"), agreed="gr-notification",
      partly={"gobgp": "what we kept goes when GoBGP is back: without a restart it does not claim to have kept its own forwarding"})
def gr_notification(c):
    o = c.begin(config="restart 60")
    assert "gr-notification" in o.peer(c.s.theirs)["agreed"]
    c.wait_ours(o, c.theirs4)
    since = len(o.changes)
    c.d.freeze()
    try:
        c.wait_down(o)
        assert "hold" in o.peer(c.s.theirs)["reason"].lower()
        stays("their route here", lambda: c.theirs4 in o.routes(), 0.3)
    finally:
        c.d.thaw()
    c.wait_up(o)
    wait_for(lambda: f"nothing stale: {o.peer(c.s.theirs)}", lambda: o.peer(c.s.theirs)["stale"] == 0)
    if c.d.keeps_forwarding:
        assert_untouched(o, since, c.theirs4)
    c.wait_ours(o, c.theirs4)


@cell("llgr-theirs", "long-lived graceful restart (RFC 9494): they stay away, their routes become the last choice",
      Session(restart=4, llgr=60),
      without={"exabgp": "ExaBGP does not offer it", "openbgpd": "OpenBGPD does not offer it"}, offer=("", "restart 60"), agreed="llgr")
def llgr_theirs(c):
    o = c.begin(config="restart 60")
    assert "llgr" in o.peer(c.s.theirs)["agreed"]
    c.wait_ours(o, c.theirs4)
    c.d.kill()
    try:
        c.wait_down(o)
        wait_for(lambda: f"long-lived stale: {o.dump(c.theirs4)}", lambda: (p := o.path(c.theirs4)) and "llgr-stale" in p.text + p.why)
        assert c.theirs4 in o.routes()
    finally:
        c.d.start(restarted=True)
    c.wait_up(o)
    wait_for(lambda: f"fresh again: {o.dump(c.theirs4)}", lambda: (p := o.path(c.theirs4)) and not p.stale and "llgr-stale" not in p.text)


# ---- route reflection

@cell("reflect-ours", "we reflect: ORIGINATOR_ID and CLUSTER_LIST reach both clients", Session(asn=ASN))
def reflect_ours(c):
    a = c.begin("client", config="cluster 192.0.2.99", origins=[])
    b = c.beside(a, "b", ASN, words="client", origins=[c.mine4()])
    route, = c.wait_theirs(c.mine4())
    assert route.originator == ROUTER["b"] and route.clusters == ["192.0.2.99"] and route.next_hop == c.address("b")
    c.wait_ours(b, c.theirs4)
    p = b.path(c.theirs4)
    assert p.attrs["originator-id"] == f"192.0.2.{c.d.number}" and p.words("cluster-list") == {"192.0.2.99"}


@cell("reflect-theirs", "they reflect between two of us", Session(asn=ASN, client=True), Session(asn=ASN, client=True, at="b"),
      lacks={"exabgp": NO_RIB})
def reflect_theirs(c):
    a = c.begin(origins=[c.mine4(1)])
    b = c.begin(where="b", origins=[c.mine4()])
    for o, prefix, router, hop in ((a, c.mine4(), ROUTER["b"], c.all[1].ours), (b, c.mine4(1), ROUTER["a"], c.all[0].ours)):
        wait_for(lambda o=o, prefix=prefix: f"{prefix}: {o.lines[-5:]}", lambda o=o, prefix=prefix: o.path(prefix))
        p = o.path(prefix)
        assert p.attrs["originator-id"] == router and len(p.words("cluster-list")) == 1 and p.via == hop


# ---- more than one path

@cell("add-path-receive", "ADD-PATH: they send two paths of one prefix", Session(add_path="send"), Session(asn=64601, at="b"),
      Session(asn=64602, at="c"), offer=("add-path recv", ""))
def add_path_receive(c):
    a = c.begin("add-path recv", origins=[])
    assert "add-path-in" in a.peer(c.s.theirs)["agreed"]
    if c.d.has_rib:
        c.begin(where="b", origins=[c.mine4()])
        c.begin(where="c", origins=[c.mine4()])
        want = {64601, 64602}
    else:
        c.d.announce_paths(c.s, c.mine4(), [64601, 64602])
        want = {64601, 64602}
    wait_for(lambda: f"two paths: {a.dump(c.mine4())}", lambda: {p.as_path[-1] for p in a.dump(c.mine4())} == want)
    rows = a.dump(c.mine4())
    assert len(rows) == 2 and len({p.path_id for p in rows}) == 2 and all(p.peer == c.s.theirs for p in rows)


@cell("add-path-send", "ADD-PATH: we send two paths of one prefix", Session(add_path="recv"), offer=("add-path send", ""))
def add_path_send(c):
    a = c.begin("add-path send", origins=[])
    assert "add-path-out" in a.peer(c.s.theirs)["agreed"]
    c.beside(a, "b", 64601, origins=[c.mine4()])
    third = c.beside(a, "c", 64602, origins=[c.mine4()])

    def lasts():
        return sorted(r.as_path[-1] for r in c.d.routes(c.s).get(c.mine4(), []))
    wait_for(lambda: f"two paths: {c.d.routes(c.s)}", lambda: lasts() == [64601, 64602])
    third.say(f"origin-gone {c.mine4()}")
    wait_for(lambda: f"one path: {c.d.routes(c.s)}", lambda: lasts() == [64601])


@cell("ecmp", "two of theirs announce one prefix: both next hops are told", Session(), Session())
def ecmp(c):
    o = c.begin()
    one, two = (s.theirs for s in c.all)
    wait_for(lambda: f"both next hops: {o.routes()}", lambda: o.routes().get(c.theirs4, "").count("via ") == 2)
    assert f"via {one} from {one}" in o.routes()[c.theirs4] and f"via {two} from {two}" in o.routes()[c.theirs4]


# ---- communities

ADD = ("policy 2 accept adds", "rule 2 accept own add 64512:77 add 64512:1:2", "policy-end 2")


@cell("communities", "communities both ways", Session())
def communities(c):
    o = c.begin("export 2", first=ADD)
    c.wait_ours(o, c.theirs(1))
    assert o.path(c.theirs(1)).words("communities") == {f"{ASN}:100", f"{ASN}:200"}
    c.wait_theirs(c.mine4(), probe=lambda r: "64512:77" in r.communities)


@cell("large-communities", "large communities both ways", Session())
def large_communities(c):
    o = c.begin("export 2", first=ADD)
    c.wait_ours(o, c.theirs(2))
    assert o.path(c.theirs(2)).words("large-communities") == {f"{ASN}:1:2"}
    c.wait_theirs(c.mine4(), probe=lambda r: "64512:1:2" in r.large)


@cell("extended-communities", "extended communities: received, and passed on", Session())
def extended_communities(c):
    o = c.begin()
    c.wait_ours(o, c.theirs(3))
    target = bytes([0, 2]) + ASN.to_bytes(2, "big") + (300).to_bytes(4, "big")
    assert o.path(c.theirs(3)).words("ext-communities") == {"0x" + target.hex()}
    raw = c.raw(o)
    raw.send(evil.update([c.mine4(2)], evil.attributes(c.address("b"), [64601], evil.attribute(16, target, 0xc0))))
    c.wait_theirs(c.mine4(2), probe=lambda r: f"rt:{ASN}:300" in r.ext)


def well_known(c, value):
    return evil.attributes(c.address("b"), [64601], evil.attribute(8, value.to_bytes(4, "big"), 0xc0))


@cell("no-export", "NO_EXPORT: we pass it to no other AS, and they neither", Session(asn=ASN), Session(asn=64601, at="b"),
      partly={"gobgp": "GoBGP passes them on, so only we are looked at", "exabgp": "ExaBGP passes nothing on, so only we are looked at"})
def no_export(c):
    a = c.begin("export 2", first=("policy 2 accept no-export", f"rule 2 accept equal {c.mine4()} add 65535:65281", "policy-end 2"),
                origins=[c.mine4(), c.mine4(1)])
    c.wait_ours(a, c.theirs(0), c.theirs(4))
    third = c.beside(a, "c", 64602)
    wait_for("what may pass", lambda: c.theirs(0) in third.routes())
    assert "no-export" in a.path(c.theirs(4)).words("communities") and c.theirs(4) not in third.routes()
    c.wait_theirs(c.mine4(), c.mine4(1), probe=lambda r: r.prefix != c.mine4() or "65535:65281" in r.communities)
    if c.d.honours_no_export:
        b = c.begin(where="b", origins=[])
        c.wait_ours(b, c.mine4(1))
        assert c.mine4() not in b.routes()


@cell("no-advertise", "NO_ADVERTISE: we pass it to nobody", Session())
def no_advertise(c):
    o = c.begin()
    raw = c.raw(o)
    raw.send(evil.update([c.mine4(1)], well_known(c, 0xffffff02)))
    raw.send(evil.update([c.mine4(2)], evil.attributes(c.address("b"), [64601])))
    c.wait_ours(o, c.mine4(1))
    c.wait_theirs(c.mine4(2))
    assert c.mine4(1) not in c.d.routes(c.s)


@cell("graceful-shutdown", "GRACEFUL_SHUTDOWN (RFC 8326): the last choice", Session())
def graceful_shutdown(c):
    o = c.begin("export 2", first=("policy 2 accept gshut", "rule 2 accept own add 65535:0", "policy-end 2"))
    c.wait_ours(o, c.theirs(6))
    p = o.path(c.theirs(6))
    assert "graceful-shutdown" in p.words("communities") and p.local_pref == 0
    c.wait_theirs(c.mine4(), probe=lambda r: "65535:0" in r.communities)


# ---- limits and ends

@cell("max-prefix-ours", "they exceed our limit: Cease/Maximum Number of Prefixes Reached", Session())
def max_prefix_ours(c):
    since = c.d.out.end
    o = c.begin("max 2", wait=False)
    wait_for(lambda: f"the end of the session: {o.peer(c.s.theirs)}", lambda: o.peer(c.s.theirs).get("flaps"))
    c.wait_reason(o, "prefix")
    c.wait_heard(since, c.d.says["max-prefix"])


@cell("max-prefix-theirs", "we exceed their limit: we say so", Session(max_prefixes=2),
      lacks={"exabgp": "ExaBGP has no limit"})
def max_prefix_theirs(c):
    o = c.begin(origins=[c.mine4()])
    c.wait_theirs(c.mine4())
    o.say(*(f"origin {c.mine4(i)}" for i in range(1, 6)))
    wait_for(lambda: f"the end of the session: {o.peer(c.s.theirs)}", lambda: o.peer(c.s.theirs).get("flaps"))
    c.wait_reason(o, "NOTIFICATION", "Cease", "prefix")


TEXT = "rack 7 moves house"


@cell("shutdown-theirs", "they shut down: we show their text (RFC 9003)", Session(),
      partly={"exabgp": "ExaBGP sends no text"})
def shutdown_theirs(c):
    o = c.begin()
    c.d.shutdown(c.s, TEXT)
    try:
        c.wait_reason(o, "shutdown", *([TEXT] if c.d.sends_text else []))
    finally:
        c.d.enable(c.s)
    c.wait_up(o)


@cell("shutdown-ours", "we shut down: they show our text (RFC 9003)", Session(),
      partly={"exabgp": EXA_TEXT})
def shutdown_ours(c):
    o = c.begin()
    since = c.d.out.end
    o.say(c.peer(c.s, f"shutdown {TEXT}"))
    c.wait_down(o)
    c.wait_heard(since, c.d.shows(TEXT))
    o.say(c.peer(c.s))
    c.wait_up(o)


@cell("reset-ours", "we reset: they show our text, and the session comes back", Session(),
      partly={"exabgp": EXA_TEXT})
def reset_ours(c):
    o = c.begin()
    since = c.d.out.end
    o.say(f"reset {c.s.theirs} {TEXT}")
    c.wait_heard(since, c.d.shows(TEXT))
    wait_for("a flap", lambda: o.peer(c.s.theirs)["flaps"] == 1)
    c.wait_up(o)
    c.wait_theirs(c.mine4())


@cell("reset-theirs", "they reset: we say why, and the session comes back", Session(),
      partly={"gobgp": "GoBGP stays idle for 30 s then, which is not waited for"})
def reset_theirs(c):
    o = c.begin()
    c.d.reset(c.s)
    wait_for("a flap", lambda: o.peer(c.s.theirs)["flaps"])
    c.wait_reason(o, "Cease")
    if not c.d.returns:
        return
    c.wait_up(o)
    c.wait_ours(o, c.theirs4)
    c.wait_theirs(c.mine4())


# ---- messages and next hops

@cell("extended-message", "extended messages (RFC 8654)", Session(ext_message=True),
      without={"gobgp": "GoBGP 3.10 does not offer it", "openbgpd": "OpenBGPD 7.7 does not offer it"},
      offer=("ext-message", ""), agreed="ext-message")
def extended_message(c):
    many = [f"10.{200 + c.d.number}.{i >> 4}.{(i & 15) << 4}/28" for i in range(2000)]
    o = c.begin("ext-message", origins=many)
    assert "ext-message" in o.peer(c.s.theirs)["agreed"]
    wait_for(lambda: f"all of them: {len(c.d.routes(c.s))}", lambda: set(many) <= set(c.d.routes(c.s)))


@cell("extended-next-hop", "IPv4 routes with IPv6 next hops (RFC 8950)", Session(v6=True, families="46", ext_nexthop=True),
      lacks={"bird1": "BIRD 1.6 has a process per family"}, without={"openbgpd": "OpenBGPD 7.7 does not offer it"},
      offer=("ext-nexthop", ""), agreed="ext-nexthop")
def extended_next_hop(c):
    o = c.begin("ext-nexthop")
    assert "ext-nexthop" in o.peer(c.s.theirs)["agreed"]
    c.wait_ours(o, c.theirs4, c.theirs6)
    assert o.routes()[c.theirs4] == f"via {c.s.theirs} from {c.s.theirs}"
    route, = c.wait_theirs(c.mine4())
    assert route.next_hop == c.s.ours


@cell("next-hop-internal", "next hop to an iBGP peer: kept, or ourselves", Session(asn=ASN))
def next_hop_internal(c):
    a = c.begin(origins=[])
    c.beside(a, "b", 64601, origins=[c.mine4()])
    c.wait_theirs(c.mine4(), probe=lambda r: r.next_hop == c.address("b"))
    a.say(c.peer(c.s, "next-hop self"))
    c.wait_theirs(c.mine4(), probe=lambda r: r.next_hop == c.address("a"))


@cell("next-hop-external", "next hop to an eBGP peer: ourselves, or kept", Session())
def next_hop_external(c):
    a = c.begin(origins=[])
    c.beside(a, "b", 64601, origins=[c.mine4()])
    c.wait_theirs(c.mine4(), probe=lambda r: r.next_hop == c.address("a"))
    a.say(c.peer(c.s, "next-hop keep"))
    c.wait_theirs(c.mine4(), probe=lambda r: r.next_hop == c.address("b"))


# ---- roles

@cell("role", "roles (RFC 9234): agreed, and what a provider sends goes to no other provider", Session(role="provider"),
      without={"bird1": "BIRD 1.6 knows no roles", "gobgp": "GoBGP knows no roles", "exabgp": "ExaBGP knows no roles"},
      offer=("role customer", ""), agreed="role")
def role(c):
    a = c.begin("role customer")
    assert "role" in a.peer(c.s.theirs)["agreed"]
    c.wait_ours(a, c.theirs4)
    assert a.path(c.theirs4).attrs["only-to-customer"] == str(ASN)
    b = c.beside(a, "b", 64601, words="role customer", b_words="role provider")
    third = c.beside(a, "c", 64602, words="role provider", b_words="role customer")
    wait_for("to a customer everything", lambda: {c.theirs4, c.mine4()} <= set(third.routes()))
    wait_for("to a provider what is ours", lambda: c.mine4() in b.routes())
    assert c.theirs4 not in b.routes()


@cell("role-mismatch", "roles that do not fit: Role Mismatch", Session(role="provider"),
      without={"bird1": "BIRD 1.6 knows no roles", "gobgp": "GoBGP knows no roles", "exabgp": "ExaBGP knows no roles"},
      offer=("role provider", ""), agreed="role")
def role_mismatch(c):
    o = c.begin("role provider", wait=False)
    c.wait_reason(o, "role")
    assert not o.up(c.s.theirs) and not c.d.up(c.s)
    o.say(c.peer(c.s, "role customer"))
    c.wait_up(o)


@cell("role-strict", "strict roles: no session with a peer that has none", Session())
def role_strict(c):
    o = c.begin("role customer role-strict", wait=False)
    c.wait_reason(o, "role")
    assert not o.up(c.s.theirs)
    o.say(c.peer(c.s, "role customer"))
    c.wait_up(o)


# ---- policies

@cell("policy-import", "import policy: refused here, preferred there, and changed while running", Session(),
      partly={"openbgpd": "the change while running takes a reset: " + NO_REFRESH,
              "exabgp": "the change while running takes a reset: " + EXA_REFRESH})
def policy_import(c):
    o = c.begin("import 2", config="restart 60", first=("policy 2 accept import", f"rule 2 reject equal {c.theirs(0)}",
                                   f"rule 2 accept equal {c.theirs(1)} set-pref 250", "policy-end 2"))
    c.wait_ours(o, c.theirs(1), c.theirs(2))
    assert c.theirs(0) not in o.routes() and o.path(c.theirs(1)).local_pref == 250
    wait_for(lambda: f"one rejected: {o.peer(c.s.theirs)}", lambda: o.peer(c.s.theirs)["rejected"] == 1)
    o.say("policy 2 accept import", f"rule 2 reject equal {c.theirs(2)}", "policy-end 2")
    if not c.d.answers_refresh:
        o.say(f"reset {c.s.theirs}")
    c.wait_ours(o, c.theirs(0), c.theirs(1))
    wait_for("refused now", lambda: c.theirs(2) not in o.routes())
    assert o.path(c.theirs(1)).local_pref == 100 and o.peer(c.s.theirs)["flaps"] == (not c.d.answers_refresh)


@cell("policy-export", "export policy: a longer path, MED; refused; and changed while running", Session())
def policy_export(c):
    o = c.begin("export 2", origins=[c.mine4(), c.mine4(1)],
                first=("policy 2 accept export", f"rule 2 reject equal {c.mine4(1)}", "rule 2 accept own prepend 64512,64512 set-med 55",
                       "policy-end 2"))
    route, = c.wait_theirs(c.mine4())
    assert route.as_path == [64512] * 3 and route.med == 55 and c.mine4(1) not in c.d.routes(c.s)
    o.say("policy 2 accept export", f"rule 2 reject equal {c.mine4()}", "policy-end 2")
    c.wait_theirs(c.mine4(1))
    c.wait_gone(c.mine4())
    assert o.peer(c.s.theirs)["flaps"] == 0


@cell("policy-local-pref", "export policy: LOCAL_PREF to an iBGP peer", Session(asn=ASN))
def policy_local_pref(c):
    c.begin("export 2", first=("policy 2 accept pref", "rule 2 accept own set-pref 333", "policy-end 2"))
    c.wait_theirs(c.mine4(), probe=lambda r: r.local_pref == 333)


@cell("policy-default", "no policy: nothing passes to or from another AS (RFC 8212)", Session(), Session(asn=64512))
def policy_default(c):
    o = c.speaker("a", c.s.asn)
    one, two = c.all
    o.say(c.peer(one, "import 0 export 0"), c.peer(two), f"origin {c.mine4()}", "stated")
    c.wait_up(o, one, two)
    c.wait_theirs(c.mine4(), s=two)
    c.wait_ours(o, c.theirs4)
    assert {p.peer for p in o.dump(c.theirs4) if p.best} == {two.theirs}
    assert c.mine4() not in c.d.routes(one) and o.peer(one.theirs)["accepted"] == 0


@cell("reconfigure", "a peer changes: the other session does not notice", Session(), Session())
def reconfigure(c):
    o = c.begin()
    one, two = c.all
    c.wait_theirs(c.mine4(), s=two)
    o.say("policy 2 reject nothing", "policy-end 2", c.peer(one, "export 2"))
    c.wait_gone(c.mine4(), s=one)
    assert o.peer(one.theirs)["flaps"] == 0
    o.say(c.peer(one, "hold 30"))
    wait_for(lambda: f"with a hold time of 30: {o.peer(one.theirs)}", lambda: (p := o.peer(one.theirs)).up and p["hold"] == 30)
    c.wait_theirs(c.mine4(), s=one)
    o.say(f"peer-gone {one.theirs}")
    wait_for("the first ends", lambda: not c.d.up(one))
    assert c.d.up(two) and o.peer(two.theirs)["flaps"] == 0 and c.mine4() in c.d.routes(two)
