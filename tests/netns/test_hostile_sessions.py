"""Hostile peers against a speaker with everything switched on, without an agent's help: long messages, many paths, mangled capabilities.

The speaker is alone in a namespace; the other one owns all its peers' addresses. Two of the peers are honest and have a hold time of
three seconds. After every test neither may have lost its session, and what the one announces must still reach the other.
"""
import contextlib
import os
import pathlib
import random
import struct
import subprocess
import threading

import evil
import pytest
from conftest import BUILD, run, wait_for
from evil import KEEPALIVE, NOTIFICATION, OPEN, REFRESH, UPDATE, Peer, Steady, attribute, attributes, capabilities, capability, flood, msg, open_body, update

DRIVE = BUILD / "tests/netns/speaker_drive"
SANITIZED = DRIVE.exists() and b"__asan_init" in DRIVE.read_bytes()
WHERE, ALONE = "hs-evil", "hs-spk"
SPEAKER, TELLER, LISTENER, STRANGER = "10.200.0.1", "10.200.0.2", "10.200.0.3", "10.200.200.200"
PLAIN = [f"10.200.{1 + i // 250}.{i % 250 + 1}" for i in range(400)]
KINDS = {"ext": "ext-message", "paths": "add-path recv", "few-paths": "add-path recv max 1000", "few": "max 1000", "refresh": "client"}
SPECIAL = {kind: [f"10.200.{100 + k}.{i}" for i in range(1, 6)] for k, kind in enumerate(KINDS)}
SLOW = "10.200.150.1"  # in an AS of its own, so that it is told everything

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="needs root"), pytest.mark.skipif(not DRIVE.exists(), reason="speaker_drive is not built")]


@contextlib.contextmanager
def namespaces():
    try:
        for name in (WHERE, ALONE):
            run("ip", "netns", "add", f"korat-{name}")
            run("ip", "-n", f"korat-{name}", "link", "set", "lo", "up")
        run("ip", "-n", f"korat-{ALONE}", "link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", f"korat-{WHERE}")
        for name in (WHERE, ALONE):
            run("ip", "-n", f"korat-{name}", "link", "set", "v0", "up")
        run("ip", "-n", f"korat-{ALONE}", "addr", "add", f"{SPEAKER}/16", "dev", "v0")
        everybody = PLAIN + sum(SPECIAL.values(), []) + [TELLER, LISTENER, STRANGER, SLOW]
        run("ip", "-n", f"korat-{WHERE}", "-batch", "-", input="".join(f"addr add {a}/16 dev v0\n" for a in everybody))
        yield
    finally:
        for name in (WHERE, ALONE):
            run("ip", "netns", "del", f"korat-{name}", check=False)


def statements():
    yield "config 64512 10.200.0.1 hold 90 cluster 10.200.0.1"
    yield f"peer {TELLER} 65001 passive hold 3"
    yield f"peer {LISTENER} 65002 passive hold 3"
    yield f"peer {SLOW} 65003 passive"
    yield from (f"peer {a} 64512 passive" for a in PLAIN)
    yield from (f"peer {a} 64512 passive {KINDS[kind]}" for kind in KINDS for a in SPECIAL[kind])
    yield from ("reachable", "quiet", "listen 179", "stated")


class World:
    def __init__(self, drive, errors):
        self.drive, self.errors = drive, errors
        self.states, self.opened, self.rounds = {}, [], 0
        self.speaker = int(drive.stdout.readline().split()[-1])
        self.plain, self.special = iter(PLAIN), {kind: iter(a) for kind, a in SPECIAL.items()}
        threading.Thread(target=self.listen, daemon=True).start()
        self.say(*statements())
        self.teller = wait_for("the speaker to listen", lambda: self.attempt(TELLER, 65001))
        self.listener = Steady(LISTENER, SPEAKER, WHERE, 65002)
        for peer in (self.teller, self.listener):
            peer.start()

    @staticmethod
    def attempt(source, asn):
        try:
            return Steady(source, SPEAKER, WHERE, asn)
        except (OSError, AssertionError):
            return None

    def say(self, *lines):
        self.drive.stdin.write("".join(line + "\n" for line in lines))
        self.drive.stdin.flush()

    def listen(self):
        for line in self.drive.stdout:
            words = line.split()
            if words[1:2] == ["peer"]:
                self.states[words[2]] = line

    def wait_state(self, source, *words, seconds=30):
        try:
            wait_for(f"{source} to be {words}", lambda: all(w in self.states.get(source, "") for w in words), seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}; it is {self.states.get(source)}") from None

    def peer(self, kind=None, source=None):
        self.opened.append(Peer(source or next(self.special[kind] if kind else self.plain), SPEAKER, WHERE))
        return self.opened[-1]

    def up(self, kind=None, source=None, **kw):
        return self.peer(kind, source).up(**kw)

    def wait_known(self, prefix, known=True, seconds=60):
        wait_for(f"{prefix} {'to reach' if known else 'to be gone from'} the listener ({self.listener.ended})",
                 lambda: (prefix in self.listener.known) == known or self.listener.ended, seconds)
        assert not self.listener.ended, self.listener.ended

    def assert_undisturbed(self):
        self.rounds += 1
        prefix = f"192.0.{self.rounds}.0/24"
        for peer in (self.teller, self.listener):
            assert peer.ended is None, (peer.peer.source, peer.ended)
        self.teller.announce(prefix)
        self.wait_known(prefix)
        self.teller.say(update(withdrawn=[prefix]))
        self.wait_known(prefix, False)
        assert self.drive.poll() is None
        text = pathlib.Path(self.errors).read_text(encoding="utf-8", errors="strict")
        assert "Sanitizer" not in text and "runtime error" not in text and "internal error" not in text, text[-3000:]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    top = tmp_path_factory.mktemp("hostile")
    with namespaces(), open(top / "errors", "wb") as errors:
        os.chmod(top, 0o777)
        drive = subprocess.Popen(["ip", "netns", "exec", f"korat-{ALONE}", str(DRIVE), str(top / "speaker.sock")], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            yield World(drive, top / "errors")
        finally:
            drive.stdin.close()
            drive.wait(30)


@pytest.fixture(autouse=True)
def undisturbed(world):
    yield
    while world.opened:
        world.opened.pop().close()
    world.assert_undisturbed()


def grown(world, before):
    return evil.rss(world.speaker) - before


# ---- who comes, and how ----

def test_thousands_of_connects_from_an_unknown_source(world):
    before = evil.descriptors(world.speaker)
    for i in range(3000):
        p = Peer(STRANGER, SPEAKER, WHERE)
        if i % 3 == 0:
            p.send(msg(OPEN, open_body(STRANGER)))
        if i % 100 == 0:
            assert p.read() is None, "something came back"
        p.close()
    wait_for("the descriptors to be given back", lambda: evil.descriptors(world.speaker) <= before + 2)


def test_thousands_of_connects_from_a_known_source(world):
    source, before, memory = next(world.plain), evil.descriptors(world.speaker), evil.rss(world.speaker)
    for i in range(3000):
        p = Peer(source, SPEAKER, WHERE)
        if i % 3:
            p.send(msg(OPEN, open_body(source)))
        if i % 3 == 2:
            p.send(msg(KEEPALIVE))
        p.reset() if i % 2 else p.close()
    wait_for("the descriptors to be given back", lambda: evil.descriptors(world.speaker) <= before + 3)
    assert grown(world, memory) < 40


def test_half_open_and_silent(world):
    """SYNs and nothing, connections and nothing, OPENs and nothing; and a session that falls silent."""
    raw = evil.raw_socket(WHERE)
    for i in range(3000):
        raw.sendto(evil.segment(f"10.200.77.{i % 250 + 1}", SPEAKER, 1024 + i, 179, i, 2), (SPEAKER, 0))
    raw.close()
    for _ in range(30):
        assert world.peer().until(OPEN) is not None  # it speaks first, and waits
    for _ in range(30):
        world.peer().start()
    p = world.up(hold=3)
    assert p.notification(30) == (4, 0)
    world.wait_state(p.source, "hold timer")


def test_dead_without_a_word(world):
    """A peer whose address is gone answers nothing any more. Its routes go with the hold timer, and it may come back."""
    p = world.up(hold=3)
    p.send(update(["100.64.1.0/24"], attributes(p.source)))
    world.wait_known("100.64.1.0/24")
    run("ip", "-n", f"korat-{WHERE}", "addr", "del", f"{p.source}/16", "dev", "v0")
    try:
        world.wait_state(p.source, "hold timer")
        world.wait_known("100.64.1.0/24", False)
    finally:
        run("ip", "-n", f"korat-{WHERE}", "addr", "add", f"{p.source}/16", "dev", "v0")

    def again():
        try:
            return world.up(source=p.source)
        except (AssertionError, OSError):
            return None
    q = wait_for("it to come back", again, 60, every=0.5)
    q.send(update(["100.64.1.0/24"], attributes(p.source)))
    world.wait_known("100.64.1.0/24")
    q.close()
    world.wait_known("100.64.1.0/24", False)


def test_one_byte_at_a_time(world):
    peers = [world.peer() for _ in range(10)]
    said = [msg(OPEN, open_body(p.source)) + msg(KEEPALIVE) + update([f"100.64.2.{i}/32"], attributes(p.source)) for i, p in enumerate(peers)]
    for at in range(max(map(len, said))):
        for p, bytes_ in zip(peers, said):
            p.send(bytes_[at:at + 1])
    for i in range(10):
        world.wait_known(f"100.64.2.{i}/32")


# ---- capabilities ----

KNOWN_CAPABILITIES = [1, 2, 5, 6, 9, 64, 65, 69, 70, 71, 73, 75]
OTHERS = [0, 3, 4, 66, 67, 68, 72, 128, 131, 255]


def mangled():
    """OPENs with one capability of every code and many lengths, alone, cut short, and in the long form of RFC 9072."""
    rng = random.Random(5)
    for code in KNOWN_CAPABILITIES + OTHERS:
        for n in (0, 1, 2, 3, 4, 5, 7, 8):
            yield capabilities(64512) + capability(code, rng.randbytes(n))
        value = rng.randbytes(200)
        inner = bytes([code, 250]) + value
        yield capabilities(64512)[:20] + bytes([2, len(inner)]) + inner  # it says more than there is
        yield b"\xff\xff" + struct.pack(">HBH", len(value) + 5, 2, len(value) + 2) + bytes([code, len(value)]) + value


def test_mangled_capabilities(world):
    """Each is taken or refused as an OPEN is refused; nothing else comes back, and nobody else notices."""
    wrong = []
    for i, params in enumerate(mangled()):
        p = world.peer()
        body = open_body(p.source, params=b"") if params[:1] == b"\xff" else open_body(p.source, params=params)
        p.send(msg(OPEN, body[:-1] + params if params[:1] == b"\xff" else body))
        m = p.read()
        while m and m[0] == OPEN:
            m = p.read()
        if not m or not (m[0] == KEEPALIVE or (m[0] == NOTIFICATION and m[1][0] == 2)):
            wrong.append((i, params[:40].hex(), m))
        p.close()
    assert not wrong, wrong


# ---- long messages (RFC 8654) ----

EXT = capabilities(64512, capability(6))


def long_update(source, prefix, size):
    """One route in a message of just this size, filled with unknown transitive attributes."""
    attrs = attributes(source)
    left = size - 19 - 4 - len(attrs) - 1 - (int(prefix.split("/")[1]) + 7) // 8
    for code in (200, 201, 202, 203):
        n = min(left - 4, 60000)
        if n < 256:
            break
        attrs += attribute(code, bytes(n), 0xc0)
        left -= n + 4
    assert left == 0
    return update([prefix], attrs)


def test_long_messages_without_agreement(world):
    """One side offering them is not agreement; nor is any message before it."""
    for p in (world.up(), world.up(params=EXT), world.up("ext")):
        p.send(long_update(p.source, "100.64.3.0/24", 4097))
        assert p.notification() == (1, 2)
    for kind, said in (("KEEPALIVE", msg(KEEPALIVE, bytes(5000))), ("OPEN", msg(OPEN, bytes(5000)))):
        p = world.up("ext", params=EXT)
        p.send(said)
        assert p.notification() == (1, 2), kind
    assert "100.64.3.0/24" not in world.listener.known


def test_long_messages_after_agreement(world):
    """Up to 65535 bytes are taken, in pieces too; what does not fit into a message for others is not told to them, or is told short."""
    before = evil.rss(world.speaker)
    p = world.up("ext", params=EXT)
    world.wait_state(p.source, "ext-message")
    data = b"".join(long_update(p.source, f"100.65.{i}.0/24", 65535 - i) for i in range(50))
    for at in range(0, len(data), 50001):
        assert p.send(data[at:at + 50001])
    p.send(flood(16000, attributes(p.source), base="100.66.0.0", size=13000) + update(["100.64.4.0/24"], attributes(p.source)))
    world.wait_known("100.64.4.0/24")
    world.wait_known("100.66.62.127/32")
    world.wait_state(p.source, "Established", "received 16051")
    assert grown(world, before) < (200 if SANITIZED else 60)
    p.send(b"\xff" * 16 + struct.pack(">HB", 65535, UPDATE) + b"\xff" * 65516)
    assert p.notification() == (3, 1)
    world.wait_known("100.66.0.0/32", False)


# ---- more of everything ----

def test_floods(world):
    """UPDATEs, KEEPALIVEs and requests in great numbers, from three peers at once."""
    before, peers = evil.rss(world.speaker), [world.up() for _ in range(3)]
    threads = []
    for i, p in enumerate(peers):
        routes = [flood(30000, attributes(p.source, local_pref=100 + k), base=f"100.{70 + i}.0.0") for k in range(3)]
        said = msg(KEEPALIVE) * 50000 + routes[0] + msg(REFRESH, b"\0\1\0\1") * 5000 + b"".join(routes)
        threads.append(threading.Thread(target=p.send, args=(said + update([f"100.64.5.{i}/32"], attributes(p.source)),)))
        p.s.settimeout(120)
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for i, p in enumerate(peers):
        world.wait_known(f"100.64.5.{i}/32")
        world.wait_state(p.source, "Established", "received 30001")
    assert grown(world, before) < (400 if SANITIZED else 120)
    for p in peers:
        p.close()
    world.wait_known("100.70.0.1/32", False)


def test_a_reader_that_does_not_read(world):
    """It is told everything that changes, over and over, and takes nothing: what waits for it is bounded."""
    p = world.peer(source=SLOW)
    p.s.setsockopt(evil.socket.SOL_SOCKET, evil.socket.SO_RCVBUF, 1024)
    p.start(asn=65003, params=capabilities(65003))
    p.send(msg(KEEPALIVE))
    world.wait_state(SLOW, "Established")
    q = world.up()
    q.s.settimeout(120)
    q.send(flood(30000, attributes(q.source), base="100.80.0.0"))
    world.wait_known("100.80.117.47/32")
    before = evil.rss(world.speaker)
    for i in range(10):
        q.send(flood(30000, attributes(q.source, path=[65000 + i]), base="100.80.0.0"))
    with contextlib.suppress(TimeoutError):
        p.s.settimeout(1)
        p.s.sendall(msg(REFRESH, b"\0\1\0\1") * 20000)
    q.send(update(["100.64.6.0/24"], attributes(q.source)))
    world.wait_known("100.64.6.0/24")
    assert grown(world, before) < (120 if SANITIZED else 30)
    assert "Established" in world.states[SLOW]


def test_refresh_storm(world):
    """A reflector's client asks for twenty thousand routes ten thousand times and is told them a few times."""
    q, p = world.up("refresh"), world.up("refresh")
    q.send(flood(20000, attributes(q.source), base="100.81.0.0"))
    world.wait_known("100.81.78.31/32")
    before = evil.rss(world.speaker)
    p.s.settimeout(60)
    reader = threading.Thread(target=lambda: p.send(msg(REFRESH, b"\0\1\0\1") * 10000))
    reader.start()
    told = 0
    with contextlib.suppress(TimeoutError):
        while (m := p.read(2)) is not None:
            told += len(evil.parse_update(m[1])[1]) if m[0] == UPDATE else 0
    reader.join()
    assert 20000 <= told < 20 * 20000, told
    assert grown(world, before) < (120 if SANITIZED else 30)


def paths(source, prefixes, ids):
    """The same prefixes with every one of these identifiers (RFC 7911)."""
    attrs = attributes(source)
    nlri = [struct.pack(">I", i) + evil.prefix(p) for i in ids for p in prefixes]
    return b"".join(update(attrs=attrs, raw=b"".join(nlri[at:at + 300])) for at in range(0, len(nlri), 300))


SENDS_PATHS = capabilities(64512, capability(69, b"\0\1\1\2"))


def test_path_identifiers_without_end(world):
    """Many paths to one prefix are bounded by what looking through them costs, many to many by the limit of paths."""
    before = evil.rss(world.speaker)
    p = world.up("paths", params=SENDS_PATHS)
    world.wait_state(p.source, "add-path-in")
    p.send(paths(p.source, ["100.64.7.0/24"], range(500)))
    world.wait_known("100.64.7.0/24")
    p.send(paths(p.source, ["100.64.7.0/24"], range(100000)))
    assert p.notification(30) in ((6, 1), (6, 8))
    world.wait_known("100.64.7.0/24", False)
    p = world.up("few-paths", params=SENDS_PATHS)
    p.send(paths(p.source, [f"100.64.8.{i}/32" for i in range(100)], range(10)))
    world.wait_known("100.64.8.99/32")
    assert world.states[p.source] and p.send(paths(p.source, ["100.64.8.200/32"], [1]))
    assert p.notification(30) == (6, 1)
    world.wait_known("100.64.8.99/32", False)
    assert grown(world, before) < (120 if SANITIZED else 30)


def test_many_paths_to_choose_between(world):
    """A thousand paths of two peers to each prefix, every one by another neighbour AS, and then they flap."""
    peers, prefixes = [world.up("paths", params=SENDS_PATHS) for _ in range(2)], [f"100.91.{i}.0/24" for i in range(200)]

    def told(p, i, med):
        attrs = attributes(p.source, path=[1000 + i], extra=attribute(4, struct.pack(">I", med), 0x80))
        return update(attrs=attrs, raw=b"".join(struct.pack(">I", i) + evil.prefix(x) for x in prefixes))
    for p in peers:
        p.s.settimeout(120)
        p.send(b"".join(told(p, i, i) for i in range(1000)))
    world.wait_known("100.91.199.0/24")
    for p in peers:
        p.send(b"".join(told(p, i % 3, i) for i in range(30)))
        world.wait_state(p.source, "Established", "received 200000")


def test_more_prefixes_than_agreed(world):
    p = world.up("few")
    p.send(flood(1000, attributes(p.source), base="100.82.0.0"))
    world.wait_known("100.82.3.231/32")
    p.send(flood(1, attributes(p.source), base="100.83.0.0"))
    assert p.notification() == (6, 1)
    world.wait_known("100.82.0.0/32", False)


def test_next_hops_without_end(world):
    """Each is watched, each is told to be reachable; when they go, so does what they cost."""
    before = evil.rss(world.speaker)
    p = world.up()
    p.s.settimeout(120)
    hop = lambda i: f"10.{210 + i // 65536}.{i // 256 % 256}.{i % 256}"
    for _ in range(2):
        p.send(b"".join(update([f"100.{84 + i // 65536}.{i // 256 % 256}.{i % 256}/32"], attributes(hop(i + 1))) for i in range(40000)))
        p.send(update(["100.64.9.0/24"], attributes(p.source)))
        world.wait_known("100.64.9.0/24")
        p.send(update(withdrawn=["100.64.9.0/24"]))
        world.wait_known("100.64.9.0/24", False)
    assert grown(world, before) < (200 if SANITIZED else 60)
    p.close()
    world.wait_known("100.84.0.1/32", False)
