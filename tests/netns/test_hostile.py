"""Hostile BGP peers, local attackers and pods against running nodes, while everything honest goes on undisturbed.

A lab of two honest nodes; beside them on the segment a namespace that owns many addresses, most of them of Nodes in the datastore, so
that they are mesh peers whom the nodes talk to. After every test nothing that is honest may have noticed: see undisturbed().
"""
import array
import ctypes
import json
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import time

import evil
import ipc
import pytest
from conftest import BUILD, KORAT, Lab, run, wait_for
from evil import KEEPALIVE, NOTIFICATION, OPEN, REFRESH, UPDATE, Peer, attribute, attributes, capability, flood, inside, msg, open_body, prefix, update

VICTIM, HONEST, STRANGER, STEADY = "10.100.5.1", "10.100.5.2", "10.100.200.200", "10.100.9.250"
DIALLED = [f"10.100.1.{i}" for i in range(1, 9)]  # textually smaller than the nodes: the nodes dial them
PEERS = [f"10.100.9.{i}" for i in range(1, 150)]  # textually larger: they dial
NODES = "/run/korat/lab/nodes"
SANITIZED = b"__asan_init" in (BUILD / "koratd").read_bytes()

LAB = """apiVersion: lab.korat.io/v1
kind: Lab
name: hostile
segments:
  - {name: lan, subnet: 10.100.0.0/16}
routers:
  - name: evil
    interfaces:
      - {segment: lan, address: 10.100.200.200/16}
nodes:
  - {name: victim, segment: lan, interface: eth0, address: 10.100.5.1/16, metric: 100}
  - {name: honest, segment: lan, interface: eth0, address: 10.100.5.2/16}
resources:
  - apiVersion: projectcalico.org/v3
    kind: IPPool
    metadata: {name: pool}
    spec: {cidr: 10.8.0.0/16, blockSize: 26, ipipMode: Never, vxlanMode: Never}
  - apiVersion: projectcalico.org/v3
    kind: BGPConfiguration
    metadata: {name: default}
    spec: {nodeToNodeMeshEnabled: true, asNumber: 64512}
PEERSpods:
  - {name: pod1, node: victim}
  - {name: pod2, node: honest}
"""
NODE = """  - apiVersion: projectcalico.org/v3
    kind: Node
    metadata: {name: n-%s}
    spec: {bgp: {ipv4Address: %s/16}}
"""


def log_of(node):
    return pathlib.Path(f"{NODES}/{node}/koratd.log").read_text(encoding="utf-8", errors="strict")


class World:
    def __init__(self, lab):
        self.lab, self.unused, self.opened = lab, iter(PEERS), []
        self.over = False
        wait_for("the honest session", lambda: self.honest_session()["state"] == "Established")
        self.block = lab.status("victim")["blocks"][0]
        self.pod = lab.status("victim")["pods"][0]["addresses"][0]
        self.far_pod = lab.status("honest")["pods"][0]["addresses"][0]
        self.far_block = lab.status("honest")["blocks"][0]
        wait_for("the route to the other node", lambda: any(r.startswith(self.far_block) for r in lab.routes("victim")))
        self.routes = sorted(lab.routes("victim"))
        self.pids = self.processes()
        self.flaps = self.honest_session()["flaps"]
        self.speaker, self.agent = self.pids["victim"][2], self.pids["victim"][1]
        self.steady = evil.Steady(STEADY, VICTIM)
        self.steady.start()
        wait_for("the speaker to be in sync", lambda: lab.status("victim")["speaker_synced"])

    def honest_session(self):
        return next(p for p in self.lab.status("victim")["peers"] if p["address"] == HONEST)

    def session(self, source):
        return next(p for p in self.lab.status("victim")["peers"] if p["address"] == source)

    def processes(self):
        st = {n: self.lab.status(n) for n in ("victim", "honest")}
        return {n: (int(pathlib.Path(f"{NODES}/{n}/koratd.pid").read_text().split()[0]), s["pid"], s["speaker_pid"]) for n, s in st.items()}

    def fresh(self):
        """The address of a peer that has not erred yet."""
        return next(self.unused)

    def peer(self, source=None):
        self.opened.append(Peer(source or self.fresh(), VICTIM))
        return self.opened[-1]

    def up(self, **kw):
        return self.peer().up(**kw)

    def wait_routes(self, seconds=30):
        wait_for(f"the routes to be as before (now {len(self.lab.routes('victim'))})",
                 lambda: sorted(self.lab.routes("victim")) == self.routes, seconds, every=0.2)

    def get(self, address):
        return self.lab.exec("victim", "ip", "route", "get", address).split("\n")[0]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    file = tmp_path_factory.mktemp("hostile") / "lab.yaml"
    everybody = PEERS + DIALLED + [STEADY]
    file.write_text(LAB.replace("PEERS", "".join(NODE % (a.replace(".", "-"), a) for a in everybody)))
    lab = Lab(str(file))
    try:
        lab.up()
        run("ip", "-n", "korat-evil", "-batch", "-", input="".join(f"addr add {a}/16 dev eth0\n" for a in everybody))
        yield World(lab)
    finally:
        lab.down()


def assert_undisturbed(world):
    s = world.honest_session()
    assert (s["state"], s["flaps"]) == ("Established", world.flaps), s
    assert world.processes() == world.pids
    assert world.steady.ended is None and world.steady.is_alive(), f"the steady session ended: {world.steady.ended}"
    assert "1 received" in world.lab.exec("pod1", "ping", "-c", "1", "-W", "2", world.far_pod)
    for node in ("victim", "honest"):
        log = log_of(node)
        assert "Sanitizer" not in log and "runtime error" not in log and "CHECK" not in log, log[-3000:]


@pytest.fixture(autouse=True)
def undisturbed(world):
    yield
    while world.opened:
        world.opened.pop().close()
    if not world.over:
        assert_undisturbed(world)


# ---- who may speak at all ----

def test_an_unknown_source_is_closed_unread(world):
    before = evil.descriptors(world.speaker)
    said = [None, b"x", os.urandom(5000), msg(OPEN, open_body(STRANGER))]
    for i in range(200):
        p = Peer(STRANGER, VICTIM)
        if said[i % 4]:
            p.send(said[i % 4])
        assert p.read() is None, "something came back"
        p.close()
    assert evil.descriptors(world.speaker) <= before + 2
    assert STRANGER not in log_of("victim")


def test_a_pod_reaches_the_port_but_nobody_listens_to_it(world):
    """Keeping pods from the port altogether is policy, and not here yet."""
    with inside("pod1"):
        s = socket.create_connection((VICTIM, 179), timeout=5)
    s.sendall(msg(OPEN, open_body(world.pod)))
    try:
        assert s.recv(100) == b""
    except ConnectionResetError:
        pass


def test_half_open_and_silent(world):
    """Connections begun and never made, made and never used, used for an OPEN and then left."""
    raw = evil.raw_socket("evil")
    for i in range(3000):
        raw.sendto(evil.segment(f"10.100.77.{i % 250 + 1}", VICTIM, 1024 + i, 179, i, 2), (VICTIM, 0))
    silent = [world.peer() for _ in range(5)]
    for p in silent:
        assert p.until(OPEN) is not None  # it speaks first, and waits
    mute = [world.peer().start() for _ in range(5)]
    for p in mute:
        assert p.until(KEEPALIVE) is not None
    assert Peer(silent[0].source, VICTIM).until(OPEN) is not None  # a second one is served, and replaces the first
    assert silent[0].closed()
    world.up().close()
    for p in silent + mute:
        p.close()


def test_one_byte_at_a_time(world):
    """Twenty slow peers cost nothing, and what they say counts once it is said."""
    peers = [world.peer() for _ in range(20)]
    spoken = [msg(OPEN, open_body(p.source)) + msg(KEEPALIVE) + update(["100.100.0.0/24"], attributes(p.source)) for p in peers]
    before, began = evil.cpu(world.speaker), time.monotonic()
    for i in range(max(map(len, spoken))):
        for p, said in zip(peers, spoken):
            p.send(said[i:i + 1])
        time.sleep(0.005)
    share = (evil.cpu(world.speaker) - before) / (time.monotonic() - began)
    assert share < (0.9 if SANITIZED else 0.5), f"{share:.0%} of a processor for 4000 bytes a second"
    wait_for("their route", lambda: any(r.startswith("100.100.0.0/24") for r in world.lab.routes("victim")))
    for p in peers:
        p.close()
    world.wait_routes()


def test_resets_from_nobody(world):
    """RST and SYN in the honest node's name, at random places of the sequence (RFC 5961)."""
    line = next(x for x in world.lab.exec("victim", "ss", "-tnH", "state", "established").splitlines() if HONEST in x)
    ports = [int(word.rpartition(":")[2]) for word in line.split()[-2:]]
    raw = evil.raw_socket("evil")
    rng = random.Random(1)
    for _ in range(10000):
        raw.sendto(evil.segment(HONEST, VICTIM, ports[1], ports[0], rng.getrandbits(32), rng.choice([4, 2, 20])), (VICTIM, 0))


# ---- what may be said ----

def raw_msg(length, kind, body=b"", marker=b"\xff" * 16):
    return marker + struct.pack(">HB", length, kind) + body


BEFORE_OPEN = {
    "bad marker": (raw_msg(19, KEEPALIVE, marker=b"\xff" * 15 + b"\xfe"), (1, 1)),
    "text": (b"GET / HTTP/1.1\r\nHost: victim\r\n\r\n", (1, 1)),
    "length 0": (raw_msg(0, OPEN), (1, 2)),
    "length 18": (raw_msg(18, KEEPALIVE), (1, 2)),
    "length 4097": (raw_msg(4097, UPDATE), (1, 2)),
    "length 65535": (raw_msg(65535, OPEN), (1, 2)),
    "type 0": (raw_msg(19, 0), (1, 3)),
    "type 6": (raw_msg(19, 6), (1, 3)),
    "type 255": (raw_msg(19, 255), (1, 3)),
    "OPEN of 28 bytes": (raw_msg(28, OPEN, b"\0" * 9), (1, 2)),
    "KEEPALIVE of 20 bytes": (raw_msg(20, KEEPALIVE, b"\0"), (1, 2)),
    "UPDATE of 22 bytes": (raw_msg(22, UPDATE, b"\0" * 3), (1, 2)),
    "ROUTE-REFRESH of 20 bytes": (raw_msg(20, REFRESH, b"\0"), (1, 2)),
    "NOTIFICATION of 20 bytes": (raw_msg(20, NOTIFICATION, b"\0"), (1, 2)),
    "KEEPALIVE first": (msg(KEEPALIVE), (5, 1)),
    "UPDATE first": (update(), (5, 1)),
    "ROUTE-REFRESH first": (msg(REFRESH, b"\0\1\0\1"), (5, 1)),
}


def bad_open(**kw):
    return lambda p: msg(OPEN, open_body(**{"router_id": p.source, **kw}))


BAD_OPEN = {
    "version 3": (bad_open(version=3), (2, 1)),
    "wrong AS": (bad_open(asn=64513, params=b""), (2, 2)),
    "wrong AS in the capability": (bad_open(params=capability(65, struct.pack(">I", 64999))), (2, 2)),
    "AS 0": (bad_open(asn=0, params=b""), (2, 2)),
    "router id 0": (bad_open(router_id="0.0.0.0"), (2, 3)),
    "our router id": (bad_open(router_id=VICTIM), (2, 3)),
    "hold time 1": (bad_open(hold=1), (2, 6)),
    "hold time 2": (bad_open(hold=2), (2, 6)),
    "unknown parameter": (bad_open(params=b"\x01\x02ab"), (2, 4)),
    "parameter past the end": (bad_open(params=b"\x02\x20\x01\x04\0\1"), (2, 0)),
    "half a parameter": (bad_open(params=b"\x02"), (2, 0)),
    "parameters longer than the message": (lambda p: msg(OPEN, open_body(p.source, params=b"")[:-1] + b"\x09"), (2, 0)),
    "capability past its parameter": (bad_open(params=b"\x02\x04\x41\x04\0\0"), (2, 0)),
    "extended length and nothing": (lambda p: msg(OPEN, open_body(p.source, params=b"")[:-1] + b"\xff\xff"), (2, 0)),
    "IPv6 only": (bad_open(params=capability(1, b"\0\2\0\1") + capability(65, struct.pack(">I", 64512))), (2, 7)),
}


def upd(attrs=b"", nlri=b"", withdrawn=b""):
    return msg(UPDATE, struct.pack(">H", len(withdrawn)) + withdrawn + struct.pack(">H", len(attrs)) + attrs + nlri)


ESTABLISHED = {
    "OPEN": (msg(OPEN, open_body("9.9.9.9")), (5, 3)),
    "withdrawn past the end": (msg(UPDATE, b"\xff\xff\0\0"), (3, 1)),
    "attributes past the end": (msg(UPDATE, b"\0\0\xff\xff"), (3, 1)),
    "both lengths past the end": (msg(UPDATE, b"\0\3\x18\x0a\0\0\xff"), (3, 1)),
    "prefix of 33 bits": (upd(attributes("10.100.9.1"), b"\x21\1\2\3\4\5"), (3, 10)),
    "prefix cut short": (upd(attributes("10.100.9.1"), b"\x20\1\2\3"), (3, 10)),
    "withdrawn prefix of 255 bits": (upd(withdrawn=b"\xff" + b"\0" * 32), (3, 10)),
    "BoRR of 24 bytes": (msg(REFRESH, b"\0\1\1\1\0"), (7, 1)),
    "bad marker": (raw_msg(19, KEEPALIVE, marker=b"\0" * 16), (1, 1)),
    "length 18": (raw_msg(18, UPDATE), (1, 2)),
    "type 9": (raw_msg(30, 9, b"\0" * 11), (1, 3)),
}


def ends_with(p, name, said, expected):
    p.send(said)
    try:
        got = p.notification(2)
    except TimeoutError:
        got = "nothing"
    p.close()
    return [] if got == expected else [f"{name}: {got}, not {expected}"]


def test_bad_messages_are_answered_by_their_code(world):
    wrong = []
    for name, (said, expected) in BEFORE_OPEN.items():
        wrong += ends_with(world.peer(), name, said, expected)
    for name, (make, expected) in BAD_OPEN.items():
        p = world.peer()
        wrong += ends_with(p, name, make(p), expected)
    for name, said, expected in [("OPEN twice", msg(OPEN, open_body("9.9.9.9")), (5, 2)), ("UPDATE in OpenConfirm", update(), (5, 2)),
                                 ("ROUTE-REFRESH in OpenConfirm", msg(REFRESH, b"\0\1\0\1"), (5, 2))]:
        wrong += ends_with(world.peer().start(), name, said, expected)
    for name, (said, expected) in ESTABLISHED.items():
        wrong += ends_with(world.up(), name, said, expected)
    assert not wrong, "\n".join(wrong)


def test_garbage(world):
    """Random bytes, a random tail of good ones, and good ones with a few changed, from many peers at once."""
    rng = random.Random(2)
    good = msg(OPEN, open_body("9.9.9.9")) + msg(KEEPALIVE) + flood(50, attributes("10.100.9.1", path=[64700] * 5))
    for _ in range(3):
        peers = [Peer(a, VICTIM) for a in PEERS[:40]]
        for i, p in enumerate(peers):
            said = bytearray(rng.randbytes(rng.randrange(1, 9000)) if i % 3 == 0 else good)
            for _ in range(i % 3):
                said[rng.randrange(len(said))] ^= 1 << rng.randrange(8)
            p.send(bytes(said))
        for p in peers:
            p.close() if rng.random() < 0.5 else p.reset()
    world.wait_routes()


def test_notification_in_every_state(world):
    """It ends the connection and is not answered; its text does not get into anybody's terminal or log as it is."""
    text = b"\n23:59:59 koratd/agent error: forged\x1b[31m\xff\xfe"
    said = [msg(NOTIFICATION, bytes([6, 2, len(text)]) + text), msg(NOTIFICATION, b"\6\4"), msg(NOTIFICATION, b"\6\2\xff"), msg(NOTIFICATION, b"\0\0"),
            msg(NOTIFICATION, bytes([255, 255]) + bytes(range(256)) * 15)]
    for notification in said:
        for make in (world.peer, lambda: world.peer().start(), world.up):
            p = make()
            p.send(notification)
            assert p.notification() is None
            wait_for("the session to be down", lambda: world.session(p.source)["state"] != "Established")
            if notification is said[0] and make is world.up:
                wait_for("the reason", lambda: "forged" in world.session(p.source)["reason"])
            p.close()
    log = log_of("victim")
    assert "forged" in log and "\x1b" not in log
    assert not [line for line in log.splitlines() if line.startswith("23:59:59 koratd/agent error: forged")]


# ---- routes ----

def test_next_hops(world):
    """Nothing that is no neighbour is used, least of all the node itself."""
    p = world.up()
    hops = {VICTIM: None, "127.0.0.1": None, "0.0.0.0": None, "224.0.0.5": None, "255.255.255.255": None, "240.0.0.1": None, "10.100.255.255": None,
            "169.254.1.1": None, "169.254.77.7": None, "8.8.8.8": None, p.source: p.source}
    for i, hop in enumerate(hops):
        p.send(update([f"100.99.{i}.0/24"], attributes(hop)))
    wait_for("the last of them", lambda: any(r.startswith("100.99.10.0/24") for r in world.lab.routes("victim")))
    routes = {r.replace("unreachable ", "").split()[0]: r for r in world.lab.routes("victim")}
    for i, (hop, expected) in enumerate(hops.items()):
        r = routes.get(f"100.99.{i}.0/24", "unreachable")
        assert f"via {expected} " in r if expected else r.startswith("unreachable"), f"next hop {hop}: {r}"
    p.close()
    world.wait_routes()


def test_prefixes_that_are_not_the_peers_to_say(world):
    """
    A mesh peer is believed about everything else, as it is by Calico; but what the node itself is connected to, has, or carries for its
    pods is not a matter of BGP.
    """
    p = world.up()
    own = [world.block, world.pod + "/32", "10.100.0.0/16", "10.100.0.0/17", "10.100.5.0/24", HONEST + "/32", STEADY + "/32", VICTIM + "/32", "169.254.1.1/32", "127.0.0.0/8", "127.0.0.1/32", "10.100.255.255/32"]
    foreign = ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8", "10.100.66.0/24", "10.8.0.0/16", "198.51.100.0/24", "224.0.0.0/4", "240.0.0.0/4"]
    before = {a: world.get(a) for a in (world.pod, VICTIM, "127.0.0.1", "169.254.1.1", "10.100.255.254", HONEST)}
    p.send(update(own + foreign, attributes(p.source)))
    wait_for("what is foreign", lambda: any(r.startswith("198.51.100.0/24 via") for r in world.lab.routes("victim")))
    wait_for("the default route", lambda: any(r.startswith(f"default via {p.source}") for r in world.lab.routes("victim")))
    after = {a: world.get(a) for a in before}
    assert after == before
    routes = world.lab.routes("victim")
    assert set(world.routes) <= set(routes)
    assert not [r for r in routes if p.source in r and r.split()[0] in own[:7] + [HONEST, STEADY, world.pod]]
    p.send(update(withdrawn=own + foreign))
    world.wait_routes()
    # In the other order: the peer has it first, then comes the pod.
    ip = str(world.block.split("/")[0]).rsplit(".", 1)[0] + "." + str(int(world.block.split("/")[0].rsplit(".", 1)[1]) + 40)
    p.send(update([ip + "/32"], attributes(p.source)))
    world.lab.wait_route("victim", f"{ip} via {p.source} dev eth0 proto bird")
    run(KORAT, "lab", "pod", "add", "late", "--node", "victim", "--ip", ip)
    assert "dev cali" in world.get(ip)
    # And when the pod goes, what BGP says holds again.
    run(KORAT, "lab", "pod", "del", "late")
    world.lab.wait_route("victim", f"{ip} via {p.source} dev eth0 proto bird")
    p.close()
    world.wait_routes()


def test_loops_are_not_used(world):
    p = world.up()
    p.send(update(["100.98.0.0/24"], attributes(p.source, path=[65001, 64512, 65002])))
    p.send(update(["100.98.1.0/24"], attributes(p.source, extra=attribute(9, evil.ip(VICTIM), 0x80))))
    p.send(update(["100.98.2.0/24"], attributes(p.source, path=[65001])))
    world.lab.wait_route("victim", f"100.98.2.0/24 via {p.source} dev eth0 proto bird")
    assert not [r for r in world.lab.routes("victim") if r.startswith(("100.98.0.0", "100.98.1.0"))]
    p.close()
    world.wait_routes()


def test_faulty_attributes_cost_the_route_and_not_the_session(world):
    """RFC 7606, and a log that such a peer cannot fill."""
    p = world.up()
    size = len(log_of("victim"))
    bad = [attribute(1, b"\7"), attribute(2, b"\2\1"), attribute(3, b"\1\2\3"), attribute(8, b"\1\2\3"), attribute(4, b"\1", 0x80), attribute(9, b"\1", 0x80)]
    for i in range(3000):
        attrs = bad[i % 6] + b"".join(attribute(c, v) for c, v in ((1, b"\0"), (2, b""), (3, evil.ip(p.source))) if c != bad[i % 6][1])
        p.send(update([f"100.97.{i % 250}.0/24"], attrs))
    p.send(update(["100.96.0.0/24"], attributes(p.source)))
    world.lab.wait_route("victim", f"100.96.0.0/24 via {p.source} dev eth0 proto bird")
    assert not [r for r in world.lab.routes("victim") if r.startswith("100.97.")]
    assert world.session(p.source)["state"] == "Established"
    assert len(log_of("victim")) - size < 20000
    p.close()
    world.wait_routes()


def test_floods_and_resets(world):
    """A hundred thousand prefixes, reset, again; then every path with attributes of its own. Memory comes back or is used again."""
    growth = 900 if SANITIZED else 150
    before = evil.rss(world.speaker), evil.rss(world.agent)
    for i in range(3):
        p = world.up()
        assert p.send(flood(100000, attributes(p.source, path=[64700 + i])))
        if i == 2:
            wait_for("them to be counted", lambda: world.session(p.source)["received"] == 100000, 60)
        p.reset() if i % 2 else p.close()
    p = world.up()
    big = b"".join(flood(1, attributes(p.source, path=[65000 + i % 500] * 200 + [i + 1]), base=socket.inet_ntoa(struct.pack(">I", 0x64500000 + i)))
                   for i in range(20000))
    p.send(big)
    p.reset()
    world.wait_routes(60)
    grown = evil.rss(world.speaker) - before[0], evil.rss(world.agent) - before[1]
    assert max(grown) < growth, f"speaker and agent have grown by {grown} MiB"


def test_one_peers_attributes_are_bounded(world):
    """Prefixes are few bytes, but each may bring four thousand of attributes."""
    p = world.up()
    before = evil.rss(world.speaker)
    for i in range(200):
        part = b"".join(update([socket.inet_ntoa(struct.pack(">I", 0x64400000 + i * 1000 + k)) + "/32"],
                               attributes(p.source, extra=b"".join(attribute(200 + c, os.urandom(3) + bytes(900), 0xc0) for c in range(4))))
                        for k in range(1000))
        if not p.send(part):
            break
    # It may be read for a while after it was told.
    assert p.notification(30) in ((6, 1), (6, 8), None)
    wait_for("the session to be down for that", lambda: "more attributes" in world.session(p.source)["reason"])
    assert evil.rss(world.speaker) - before < 700
    p.close()
    world.wait_routes(60)


def test_many_next_hops(world):
    """Each costs the kernel a comparison with every other. A pod is added all the same, and not when all that is done."""
    p = world.up()
    said = [update([f"100.{80 + i // 65536}.{i // 256 % 256}.{i % 256}/32"], attributes(f"10.100.{10 + i // 256}.{i % 256}")) for i in range(40000)]
    before = evil.cpu(world.agent)
    assert p.send(b"".join(said))
    run(KORAT, "lab", "pod", "add", "prompt", "--node", "victim", timeout=20)
    wait_for("the routes", lambda: int(world.lab.exec("victim", "sh", "-c", "ip route | wc -l")) > 40000, 30, every=0.3)
    assert evil.cpu(world.agent) - before < (10 if SANITIZED else 4)
    assert "more than 4096 next hops" in log_of("victim")
    run(KORAT, "lab", "pod", "del", "prompt")
    p.close()
    world.wait_routes(60)


# ---- connections against each other ----

def test_connection_storm(world):
    """One peer dials two hundred times at once, in every state; one of its connections can still become a session."""
    source = world.fresh()
    before = evil.descriptors(world.speaker)
    for _ in range(4):
        conns = [Peer(source, VICTIM) for _ in range(50)]
        for i, p in enumerate(conns):
            if i % 3:
                p.send(msg(OPEN, open_body(source)))
            if i % 3 == 2:
                p.send(msg(KEEPALIVE))
        for p in conns:
            p.close() if source[-1] in "13579" else p.reset()

    def established():
        p = Peer(source, VICTIM)
        try:
            return p.up()
        except (AssertionError, TimeoutError):
            p.close()
            return None
    p = wait_for("a session after the storm", established, 20)
    for _ in range(50):
        q = Peer(source, VICTIM)
        q.send(msg(OPEN, open_body(source)))
        q.close()
    p.send(update(["100.95.0.0/24"], attributes(source)))
    world.lab.wait_route("victim", f"100.95.0.0/24 via {source} dev eth0 proto bird")
    p.close()
    world.wait_routes()
    wait_for("the descriptors to be given back", lambda: evil.descriptors(world.speaker) <= before + 3, 20)


def accepted_from(server, source):
    """The next connection of one of the nodes that dial us."""
    while True:
        p = Peer.accepted(server)
        if p.s.getpeername()[0] == source:
            return p
        p.close()


def test_collisions(world):
    """We dial while we are dialled: what we do on both connections is hostile, and then a session comes up all the same."""
    servers = {source: evil.listener(source) for source in DIALLED[1:]}
    for i, (source, server) in enumerate(servers.items()):
        dialled, mine = accepted_from(server, VICTIM), Peer(source, VICTIM)
        first, second = (mine, dialled) if i % 2 else (dialled, mine)
        for p in (first, second):
            p.send(msg(OPEN, open_body(source if i % 4 < 2 else "1.1.1.1")))
            if i % 3:
                p.send(msg(KEEPALIVE))
        time.sleep(0.02)
        second.reset() if i % 2 else first.send(msg(NOTIFICATION, b"\6\7"))
        second.close()
        first.close()
    for source, server in servers.items():
        p = accepted_from(server, VICTIM).up()
        wait_for("the session", lambda: world.session(source)["state"] == "Established")
        p.close()
        server.close()


def test_a_dialled_peer_that_hangs_up(world):
    """It accepts and closes, over and over: dialling it slows down."""
    server = evil.listener(DIALLED[0])
    server.settimeout(0.2)
    end, n = time.monotonic() + 2.5, 0
    while time.monotonic() < end:
        try:
            Peer.accepted(server).close()
            n += 1
        except TimeoutError:
            pass
    server.close()
    assert n < 30  # two nodes


def test_a_session_that_comes_and_goes(world):
    """After some that ended at once the peer has to wait: neither the log nor the routes are its to shake."""
    source, size, n = world.fresh(), len(log_of("victim")), 0
    end = time.monotonic() + 2
    while time.monotonic() < end or (n < 5 and time.monotonic() < end + 20):
        p = Peer(source, VICTIM)
        try:
            p.up().reset()
            n += 1
        except (AssertionError, TimeoutError):
            p.close()
            time.sleep(0.02)
    assert n >= 5 and log_of("victim")[size:].count(f"{source} (") < 50, n


def test_refresh_storm(world):
    p = world.up()
    before, sent = evil.cpu(world.speaker), time.monotonic()
    for _ in range(10):
        assert p.send(msg(REFRESH, b"\0\1\0\1") * 2000)
    p.send(update(["100.94.0.0/24"], attributes(p.source)))
    world.lab.wait_route("victim", f"100.94.0.0/24 via {p.source} dev eth0 proto bird")
    updates, end = 0, time.monotonic() + 1.5
    try:
        while p.read(max(0.01, end - time.monotonic()))[0] == UPDATE:
            updates += 1
    except TimeoutError:
        pass
    assert updates < 30, f"{updates} UPDATEs for 20000 requests"
    p.close()
    world.wait_routes()


def test_a_peer_that_does_not_read(world):
    """What waits for it is bounded, and it is not what the others wait for."""
    p = world.peer()
    p.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    p.start()
    p.send(msg(KEEPALIVE))
    before = evil.rss(world.speaker)
    try:
        p.s.settimeout(0.5)
        for _ in range(50):
            p.s.sendall(msg(REFRESH, b"\0\1\0\1") * 1000)
    except (TimeoutError, ConnectionError):
        pass
    assert evil.rss(world.speaker) - before < 20
    p.close()


# ---- the process that listens to all this ----

def test_the_speaker_has_nothing_to_take(world):
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{world.speaker}/status").read_text().splitlines())
    assert "0" not in status["Uid"].split() and status["Groups"].split() == []
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"].strip() == "1"
    if not SANITIZED:
        assert status["Seccomp"].strip() == "2"
    kinds = {os.readlink(f"/proc/{world.speaker}/fd/{fd}").split(":")[0] for fd in os.listdir(f"/proc/{world.speaker}/fd") if int(fd) > 2}
    assert kinds <= {"socket", "anon_inode", "pipe"}, kinds


# ---- the sockets of this machine ----

def ask(path, data, fds=(), seconds=15, chunk=None, pause=0.0):
    """What comes back for these bytes."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(seconds)
    s.connect(path)
    try:
        if fds:
            s.sendmsg([data[:1]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
            data = data[1:]
        for i in range(0, len(data), chunk or max(1, len(data))):
            s.sendall(data[i:i + (chunk or len(data))])
            time.sleep(pause)
    except (BrokenPipeError, ConnectionResetError):
        pass
    out = b""
    try:
        while more := s.recv(65536):
            out += more
    except ConnectionResetError:
        pass
    s.close()
    return out


AGENT = f"{NODES}/victim/agent.sock"
SPEAKER = f"{NODES}/victim/speaker.sock"


def as_nobody(code, uid=12345):
    return subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, text=True, timeout=30, user=uid, group=uid, extra_groups=[])


def test_other_users_are_refused(world):
    """By the mode of the sockets; and were the mode changed, by what the kernel says of the caller."""
    talk = ("import socket\ns = socket.socket(socket.AF_UNIX, socket.%s)\ns.settimeout(5)\ns.connect('%s')\n"
            "try:\n s.send(%r)\nexcept OSError:\n pass\ntry:\n print(s.recv(1000))\nexcept OSError as e:\n print(e)\n")
    ask_agent = talk % ("SOCK_STREAM", AGENT, b'{"method":"status"}\n')
    greet = struct.pack(">BBIQB", 1, 1, 1, 1, 0)
    ask_speaker = talk % ("SOCK_SEQPACKET", SPEAKER, greet)
    for path, code in ((AGENT, ask_agent), (SPEAKER, ask_speaker)):
        r = as_nobody(code)
        assert r.returncode and "Permission denied" in r.stderr, r
        mode = os.stat(path).st_mode & 0o777
        assert mode == 0o600, oct(mode)
        os.chmod(path, 0o666)
        try:
            r = as_nobody(code)
        finally:
            os.chmod(path, mode)
        if path == AGENT:
            assert "only root and the agent" in r.stdout and VICTIM not in r.stdout, r
        else:
            assert "only" not in r.stdout and "\\x01\\x01" not in r.stdout, r


def test_nonsense_to_the_agent(world):
    pipes = [os.open("/dev/null", os.O_RDONLY) for _ in range(200)]
    before = evil.descriptors(world.agent)
    try:
        said = [b"\n", b"{}\n", b"[]\n", b"null\n", b'{"method":1}\n', b'{"method":"nothing"}\n', b'{"method":"status","params":[]}\n', b"\xff\xfe\n", b"\0\n",
                b"[" * 100000 + b"\n", b'{"a":' * 50000 + b"\n", b'{"method":"status"}\n{"method":"status"}\n', b'{"method":"cni.add","params":{}}\n',
                b'{"method":"cni.del","params":{"containerID":"../../x","ifname":"eth0","network":"n"}}\n',
                b'{"method":"cni.add","params":{"containerID":"' + b"a" * 10000 + b'"}}\n', b'{"method":"trace","params":{"to":{}}}\n']
        for line in said:
            answer = json.loads(ask(AGENT, line))
            assert "error" in answer and answer["error"]["message"], (line[:60], answer)
        assert "1 MiB" in ask(AGENT, b" " * (2 << 20)).decode()
        assert json.loads(ask(AGENT, os.urandom(3000).replace(b"\n", b"") + b"\n"))["error"]
        assert json.loads(ask(AGENT, b'{"method":"status"}\n', chunk=1, pause=0.01))["result"]
        for n in (5, 100, 200):
            assert json.loads(ask(AGENT, b'{"method":"status"}\n', fds=pipes[:n]))["error"]
        assert json.loads(ask(AGENT, b'{"method":"status"}\n', fds=pipes[:4]))["result"]
    finally:
        for fd in pipes:
            os.close(fd)
    wait_for("the descriptors to be closed", lambda: evil.descriptors(world.agent) <= before)


def test_three_hundred_callers(world):
    """Some silent, some with half a line: whoever comes later waits no longer than until a few of them go."""
    callers = []
    for i in range(300):
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        s.connect(AGENT)
        if i % 2:
            s.send(b'{"method":')
        callers.append(s)
    late = socket.socket(socket.AF_UNIX)
    late.settimeout(1)
    late.connect(AGENT)
    late.sendall(b'{"method":"status"}\n')
    with pytest.raises(TimeoutError):
        late.recv(1)
    for s in callers[:100]:
        s.close()
    late.settimeout(15)
    assert late.recv(10) == b'{"result":'
    late.close()
    for s in callers:
        s.close()


# ---- plugins that lie ----

def add_request(cid, **kw):
    return json.dumps({"method": "cni.add", "params": {"containerID": cid, "ifname": "eth0", "network": "korat", "netns": "/run/netns/x", "args": {},
                                                       "conf": {}, **kw}}).encode() + b"\n"


def netlink_in(name, protocol=socket.NETLINK_ROUTE):
    if name:
        with inside(name):
            return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)


def test_descriptors_that_are_not_what_they_should_be(world, tmp_path):
    with open(tmp_path / "file", "wb") as file, open("/run/netns/korat-victim", "rb") as node, open("/run/netns/korat-pod2", "rb") as pod, \
            open("/proc/self/ns/mnt", "rb") as mnt, open("/proc/self/ns/user", "rb") as user:
        nl_pod, nl_node, nl_evil, uevent = netlink_in("pod2"), netlink_in("victim"), netlink_in("evil"), netlink_in("pod2", 15)
        grouped = netlink_in("pod2")
        grouped.bind((0, 1))
        a, b = socket.socketpair()
        r, w = os.pipe()
        cases = [(), (node,), (node, nl_node), (file, nl_pod), (pod, file), (pod, nl_evil), (pod, nl_node), (pod, a), (pod, uevent), (pod, grouped), (mnt, nl_pod),
                 (user, nl_pod), (a, b), (r, w), (nl_pod, pod)]
        open_before = evil.descriptors(world.agent)
        before = world.lab.exec("victim", "ip", "-o", "link"), world.lab.exec("pod2", "ip", "-o", "addr")
        for i, fds in enumerate(cases):
            numbers = [f if isinstance(f, int) else f.fileno() for f in fds]
            answer = json.loads(ask(AGENT, add_request(f"liar{i}"), fds=numbers))
            assert answer["error"]["code"] == 3 or "namespace" in answer["error"]["message"] or "socket" in answer["error"]["message"], (i, answer)
        for s in (nl_pod, nl_node, nl_evil, uevent, grouped, a, b):
            s.close()
        os.close(r)
        os.close(w)
    assert (world.lab.exec("victim", "ip", "-o", "link"), world.lab.exec("pod2", "ip", "-o", "addr")) == before
    wait_for("the descriptors to be closed", lambda: evil.descriptors(world.agent) <= open_before)
    world.wait_routes()


def test_a_plugin_that_eats_the_kernels_answers(world):
    """It keeps its copy of the netlink socket and reads from it: that request fails, in bounded time, and leaves nothing."""
    run("ip", "netns", "add", "korat-t-eater")
    try:
        with open("/run/netns/korat-t-eater", "rb") as ns:
            with inside("t-eater"):
                s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            # A filter that drops everything is the surest way to eat.
            prog = struct.pack("HBBI", 6, 0, 0, 0)
            buf = ctypes.create_string_buffer(prog)
            s.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HxxxxxxP", 1, ctypes.addressof(buf)))
            assert json.loads(ask(AGENT, add_request("eater"), fds=[ns.fileno(), s.fileno()], seconds=30))["error"]
            s.close()
    finally:
        run("ip", "netns", "del", "korat-t-eater")
    ask(AGENT, add_request("eater").replace(b"cni.add", b"cni.del"))
    world.wait_routes()


# ---- pods that misbehave ----

def test_a_pod_that_is_root(world):
    """In its own namespace it may do anything. Nobody else is to notice, and it can still be deleted."""
    run(KORAT, "lab", "pod", "add", "rogue", "--node", "victim")
    address = next(p["addresses"][0] for p in world.lab.status("victim")["pods"] if p["netns"].endswith("korat-rogue"))
    neighbours = world.lab.exec("victim", "ip", "neigh", "show", "dev", "eth0", "nud", "permanent")
    before = sorted(r for r in world.lab.routes("victim"))
    world.lab.exec("rogue", "sh", "-c", f"""
        ip link set eth0 mtu 9000; ip addr add {HONEST}/32 dev eth0; ip addr add {world.pod}/32 dev eth0; ip addr add 169.254.1.1/32 dev eth0
        ip addr add 10.100.0.9/16 dev eth0; ip link set eth0 address ee:ee:ee:ee:ee:ee; ip link add dummy0 type dummy; ip link set dummy0 up
        echo 1 > /proc/sys/net/ipv4/conf/eth0/proxy_arp; echo 1 > /proc/sys/net/ipv4/ip_forward""", check=False)
    flap = "for i in $(seq 200); do ip link set eth0 down; ip link set eth0 up; done"
    agent = evil.cpu(world.agent)
    began = time.monotonic()
    world.lab.exec("rogue", "sh", "-c", flap)
    share = (evil.cpu(world.agent) - agent) / (time.monotonic() - began)
    print(f"flapping costs the agent {share:.0%} of a processor")
    with inside("rogue"):
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    packet.bind(("eth0", 0))
    mac = bytes.fromhex("eeeeeeeeeeee")
    table = len(world.lab.exec("victim", "ip", "neigh").splitlines())
    for i in range(8000):
        # Requests for and in the name of others, and answers nobody asked for.
        who = struct.pack(">I", 0x0b000000 + i if i % 4 else 0x0a640500 + i % 3)
        whom = struct.pack(">I", 0xa9fe0101 if i % 2 else 0x0a640501 + i % 7)
        packet.send(b"\xff" * 6 + mac + b"\x08\x06" + struct.pack(">HHBBH", 1, 0x800, 6, 4, 1 + i // 2 % 2) + mac + who + mac + whom)
    packet.close()
    assert len(world.lab.exec("victim", "ip", "neigh").splitlines()) < table + 10  # the kernel's table holds a thousand
    assert "1 received" in world.lab.exec("pod1", "ping", "-c", "1", "-W", "2", world.far_pod)
    assert sorted(world.lab.routes("victim")) == before
    assert world.lab.exec("victim", "ip", "neigh", "show", "dev", "eth0", "nud", "permanent") == neighbours
    # It goes away by its record, whatever its interface is called by now.
    world.lab.exec("rogue", "sh", "-c", "ip link set eth0 down; ip link set eth0 name gone0; ip link add eth0 type dummy; ip link set gone0 up")
    run(KORAT, "lab", "pod", "del", "rogue")
    world.wait_routes()
    assert not [line for line in world.lab.exec("victim", "ip", "neigh").splitlines() if address in line and "cali" in line]


# ---- the two processes against each other ----

HELLO = ipc.header("HELLO") + struct.pack(">IQB", 4711, 99, 0)


def lies(rng):
    """What a speaker that somebody else has taken over could say."""
    yield b""
    yield b"\0"
    yield bytes([ipc.VERSION + 1]) + HELLO[1:]
    yield HELLO[:-1]
    yield HELLO + b"\0"
    yield ipc.header("SYNCED")  # before the greeting
    yield HELLO[:-1] + b"\xff"
    for _ in range(20):
        yield HELLO, bytes([ipc.VERSION, rng.randrange(256)]) + rng.randbytes(rng.randrange(60))
    yield HELLO, bytes(20000)
    for body in (b"\1\0\0\0\0\x21", b"\1\x0a\1\2\3\x08", b"\2" + bytes(16) + b"\xff", b"\7"):
        yield HELLO, ipc.header("ROUTE") + body + bytes(40)


def test_a_speaker_that_lies_to_its_agent(world, tmp_path):
    run("ip", "netns", "add", "korat-t-liar")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.bind(str(tmp_path / "speaker.sock"))
    server.listen(4)
    server.settimeout(10)
    with open(tmp_path / "log", "wb") as log:
        agent = subprocess.Popen(["ip", "netns", "exec", "korat-t-liar", str(BUILD / "koratd"), "agent", "--node", "nobody-here", "--datastore",
                                  "sqlite:/run/korat/lab/store.db", "--run-dir", str(tmp_path)], stderr=log)
    try:
        for said in lies(random.Random(3)):
            s, _ = server.accept()
            s.settimeout(10)
            assert s.recv(100)[:2] == ipc.header("HELLO")
            try:
                for part in said if isinstance(said, tuple) else [said]:
                    s.send(part)
                s.send(b"")
            except OSError:
                pass
            s.close()
        s, _ = server.accept()
        s.send(HELLO)
        wait_for("the agent to be well", lambda: json.loads(ask(str(tmp_path / "agent.sock"), b'{"method":"status"}\n'))["result"])
        assert agent.poll() is None
    finally:
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(20) == 0
        server.close()
        run("ip", "netns", "del", "korat-t-liar")
    text = (tmp_path / "log").read_text()
    assert "Sanitizer" not in text and "runtime error" not in text, text[-3000:]


def test_nonsense_to_the_speaker(world):
    """Even root's nonsense does not cost the real agent its connection; a real greeting would."""
    before = log_of("victim").count("the agent is connected")
    rng = random.Random(4)
    for said in [b"\0", b"\1", b"\2\1", HELLO[:-1], ipc.header("CONFIG") + bytes(18), bytes(20000), *(bytes([ipc.VERSION]) + rng.randbytes(30) for _ in range(50))]:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(5)
        s.connect(SPEAKER)
        if said[:2] != b"\1\1":
            s.send(said)
            assert s.recv(100) == b""
        s.close()
    waiting = []
    for _ in range(40):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.setblocking(False)
        try:
            s.connect(SPEAKER)
        except BlockingIOError:
            pass
        waiting.append(s)
    for s in waiting:
        s.close()
    assert log_of("victim").count("the agent is connected") == before
    assert world.lab.status("victim")["speaker_pid"] == world.speaker


# ---- and at the end ----

def test_zz_everything_ends_without_a_report(world):
    """The processes end when asked to, and sanitizers have nothing to say about what they leave."""
    assert_undisturbed(world)
    world.steady.stop()
    world.over = True
    for node in ("victim", "honest"):
        os.kill(world.pids[node][0], signal.SIGTERM)

    def gone():
        return not [p for node in world.pids.values() for p in node if pathlib.Path(f"/proc/{p}").exists() and "Z" not in
                    pathlib.Path(f"/proc/{p}/stat").read_text().rpartition(")")[2].split()[0]]
    wait_for("the processes to end", gone, 30)
    for node in ("victim", "honest"):
        log = log_of(node)
        assert "Sanitizer" not in log and "runtime error" not in log, log[-3000:]
