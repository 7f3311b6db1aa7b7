"""Sockets under BGP sessions, against a real BIRD 2: TCP MD5, GTSM, TTL, source address, port, who dials, and where is listened.

	ours ---- near			one hop
	ours ---- router ---- far	two hops

What must not come up is waited for by what the kernel counts when it drops something, never by time; and afterwards the one
thing that was wrong is put right and the session does come up.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import threading

import pytest
from conftest import BUILD, KORAT, run, wait_for

DRIVE = BUILD / "tests/netns/speaker_drive"
BIRD = shutil.which("bird") or "/usr/sbin/bird"
OURS, NEAR, ROUTER, FAR = (f"korat-t-edges-{x}" for x in ("ours", "near", "router", "far"))
FAMILIES = (4, 6)

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not os.path.exists(BIRD), reason="needs bird"),
    pytest.mark.skipif(not DRIVE.exists(), reason="speaker_drive is not built"),
]


def address(link, host, family):
    return f"172.31.{link}.{host}" if family == 4 else f"fd31:{link}::{host}"


def ours_to(where, family):
    return address(1 if where == NEAR else 2, 1, family)


def other(where, family):
    return address(1, 2, family) if where == NEAR else address(3, 1, family)


def ip(ns, *args, check=True):
    return run("ip", "-n", ns, *args, check=check).stdout


def inside(ns, *cmd, check=True):
    return run("ip", "netns", "exec", ns, *cmd, check=check).stdout


def counter(ns, name):
    """How often the kernel has counted this since the namespace was made."""
    m = re.search(rf"^{name}\s+(\d+)", inside(ns, "nstat", "-asz", name), re.M)
    assert m, f"the kernel does not count {name}"
    return int(m[1])


def connect(a, b, link):
    """a is host 1 and b host 2 of the link."""
    run("ip", "link", "add", f"e{link}a", "netns", a, "type", "veth", "peer", "name", f"e{link}b", "netns", b)
    for ns, dev, host in ((a, f"e{link}a", 1), (b, f"e{link}b", 2)):
        ip(ns, "link", "set", dev, "up")
        ip(ns, "addr", "add", address(link, host, 4) + "/24", "dev", dev)
        ip(ns, "addr", "add", address(link, host, 6) + "/64", "dev", dev, "nodad")


def build_net():
    for ns in (OURS, NEAR, ROUTER, FAR):
        run("ip", "netns", "add", ns)
        ip(ns, "link", "set", "lo", "up")
    connect(OURS, NEAR, 1)
    connect(OURS, ROUTER, 2)
    connect(FAR, ROUTER, 3)
    inside(ROUTER, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    for family, length in ((4, 24), (6, 64)):
        for ns, to, link in ((OURS, 3, 2), (FAR, 2, 3)):
            ip(ns, "route", "add", f"{address(to, 0, family)}/{length}", "via", address(link, 2, family))


@pytest.fixture
def net(tmp_path):
    def clean():
        for ns in (OURS, NEAR, ROUTER, FAR):
            run("ip", "netns", "del", ns, check=False)
    clean()
    try:
        build_net()
        yield tmp_path
    finally:
        clean()


class Bird:
    """BIRD in a namespace, with one session to us for each family."""

    def __init__(self, path, ns):
        self.dir, self.ns, self.proc = path / ns, ns, None
        self.dir.mkdir()

    def write(self, extra="", port=179, ours_port=179, ours=None):
        text = f"router id {other(self.ns, 4)};\nprotocol device {{}}\n"
        for f in FAMILIES:
            text += f"""
protocol bgp ours{f} {{
	local {other(self.ns, f)} port {port} as 64512;
	neighbor {ours(f) if ours else ours_to(self.ns, f)} port {ours_port} as 64512;
	connect delay time 1; connect retry time 2; error wait time 1,2;
	{extra}
	ipv{f} {{ import all; export none; }};
}}
"""
        (self.dir / "bird.conf").write_text(text)

    def start(self, **how):
        self.write(**how)
        self.proc = subprocess.Popen(["ip", "netns", "exec", self.ns, BIRD, "-f", "-c", str(self.dir / "bird.conf"), "-s",
                                      str(self.dir / "bird.ctl")], stderr=subprocess.DEVNULL)
        wait_for("bird answers", lambda: "BIRD" in self.ask("show status"))
        return self

    def change(self, **how):
        self.write(**how)
        assert "Reconfigur" in self.ask("configure")

    def ask(self, words):
        return run("birdc", "-s", self.dir / "bird.ctl", *words.split(), check=False).stdout

    def stop(self):
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            self.proc.wait(15)


class Ours:
    def __init__(self, path):
        self.lines = []
        self.errors = path / "errors"
        with self.errors.open("w") as stderr:
            self.proc = subprocess.Popen(["ip", "netns", "exec", OURS, str(DRIVE), str(path / "speaker.sock")],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, bufsize=1)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.proc.stdout:
            self.lines.append(line.split(" ", 1)[1].strip())

    def say(self, *lines):
        self.proc.stdin.write("".join(line + "\n" for line in lines))
        self.proc.stdin.flush()

    def peer(self, where, family, words=""):
        self.say(f"peer {other(where, family)} 64512 local {ours_to(where, family)} name {where[-4:].strip('-')}{family} {words}")

    def state(self, where, family):
        mine = [line for line in list(self.lines) if line.startswith(f"peer {other(where, family)} ")]
        return mine[-1] if mine else ""

    def up(self, where, family):
        return " Established " in self.state(where, family)

    def flaps(self, where, family):
        return int(re.search(r" flaps (\d+)", self.state(where, family))[1])

    def wait_up(self, where, *families):
        for f in families:
            wait_for(f"the session with {other(where, f)}", lambda: self.up(where, f), 60)

    def stop(self):
        if self.proc.poll() is None:
            self.say("quit")
            self.proc.wait(15)


@pytest.fixture
def parts(net):
    """make(ns, ..., listen=...): ours, and a BIRD for each namespace."""
    made = []

    def make(*where, listen=179):
        made.append(Ours(net))
        made.extend(Bird(net, ns) for ns in where)
        made[0].say("config 64512 172.31.1.1", *([f"listen {listen}"] if listen else []), "stated")
        return made
    try:
        yield make
    finally:
        for x in made:
            x.stop()


DIALS = pytest.mark.parametrize("here, there", [("passive", ""), ("", "passive on;")], ids=["they-dial", "we-dial"])


# ---- TCP MD5 ----

def key(password):
    return f'password "{password}";'


@DIALS
def test_right_key(parts, here, there):
    ours, near = parts(NEAR)
    near.start(extra=there + key("secret"))
    for f in FAMILIES:
        ours.peer(NEAR, f, f"password secret {here}")
    ours.wait_up(NEAR, *FAMILIES)
    assert counter(NEAR, "TcpExtTCPMD5Failure") == 0


@DIALS
@pytest.mark.parametrize("mine, theirs, counted", [
    ("secret", "Secret", "TcpExtTCPMD5Failure"),
    ("secret", "", "TcpExtTCPMD5NotFound"),
    ("", "secret", "TcpExtTCPMD5Unexpected"),
], ids=["wrong", "only-ours", "only-theirs"])
def test_keys_that_differ(parts, mine, theirs, counted, here, there):
    """Counted where the SYNs arrive. There, a key of ours that is missing is one that is unexpected."""
    ours, near = parts(NEAR)
    mirrored = {"TcpExtTCPMD5NotFound": "TcpExtTCPMD5Unexpected", "TcpExtTCPMD5Unexpected": "TcpExtTCPMD5NotFound"}
    at, name = (OURS, counted) if here else (NEAR, mirrored.get(counted, counted))
    near.start(extra=there + (key(theirs) if theirs else ""))
    for f in FAMILIES:
        ours.peer(NEAR, f, (f"password {mine} " if mine else "") + here)
    wait_for("SYNs that are dropped", lambda: counter(at, name) >= 4, 60)
    assert not any(ours.up(NEAR, f) for f in FAMILIES)
    for f in FAMILIES:
        ours.peer(NEAR, f, (f"password {theirs} " if theirs else "") + here)
    ours.wait_up(NEAR, *FAMILIES)
    assert all(ours.flaps(NEAR, f) == 0 for f in FAMILIES)


def test_a_key_is_changed_and_only_its_peer_notices(parts):
    """BIRD alone dials, so that no session is lost to a collision: all keys are on the same two listening sockets."""
    ours, near, far = parts(NEAR, FAR)
    near.start(extra=key("one"))
    far.start(extra=key("other"))
    for f in FAMILIES:
        ours.peer(NEAR, f, "passive password one")
        ours.peer(FAR, f, "passive password other")
    ours.wait_up(NEAR, *FAMILIES)
    ours.wait_up(FAR, *FAMILIES)
    near.change(extra=key("two"))
    ours.peer(NEAR, 4, "passive password two")
    wait_for("a new session", lambda: ours.flaps(NEAR, 4) == 1 and ours.up(NEAR, 4), 60)
    # IPv6 has the old one here yet, and BIRD the new one.
    wait_for("the old session's end", lambda: not ours.up(NEAR, 6), 60)
    ours.peer(NEAR, 6, "passive password two")
    ours.wait_up(NEAR, *FAMILIES)
    ours.say("peer-gone " + other(NEAR, 4))
    wait_for("its end", lambda: "ours4" in near.ask("show protocols ours4") and "Established" not in near.ask("show protocols ours4"))
    ours.wait_up(FAR, *FAMILIES)
    assert [ours.flaps(FAR, f) for f in FAMILIES] == [0, 0]


def test_keys_come_and_go_with_passive_peers(parts):
    """The listening sockets alone decide here: keys before the sockets, a key that goes, a peer that goes."""
    ours, near = parts(NEAR, listen=None)
    near.start(extra=key("secret"))
    for f in FAMILIES:
        ours.peer(NEAR, f, "passive password secret")
    ours.say("listen 179")
    ours.wait_up(NEAR, *FAMILIES)
    near.change()
    for f in FAMILIES:
        ours.peer(NEAR, f, "passive")
    wait_for("sessions without", lambda: all(ours.flaps(NEAR, f) == 1 and ours.up(NEAR, f) for f in FAMILIES), 60)
    for f in FAMILIES:
        ours.peer(NEAR, f, "passive password secret")
    before = counter(OURS, "TcpExtTCPMD5NotFound")
    wait_for("SYNs without a key", lambda: counter(OURS, "TcpExtTCPMD5NotFound") >= before + 4, 60)
    for f in FAMILIES:
        ours.say("peer-gone " + other(NEAR, f))
        ours.peer(NEAR, f, "passive")
    ours.wait_up(NEAR, *FAMILIES)


def limit_option_memory(n):
    """net.core.optmem_max bounds the keys of a socket; in kernels before 6.8 it is not a namespace's own."""
    mine = inside(OURS, "sysctl", "-n", "net.core.optmem_max", check=False).strip()
    if not mine:
        pytest.skip("this kernel's net.core.optmem_max is the whole machine's")
    inside(OURS, "sysctl", "-qw", f"net.core.optmem_max={n}")
    return mine


@pytest.mark.parametrize("family", FAMILIES)
def test_a_kernel_that_refuses_the_key(parts, family):
    """No session without the password, and one sentence that says which peer and what to do."""
    ours, near = parts(NEAR)
    before = limit_option_memory(1)
    near.start()
    ours.peer(NEAR, family, "password secret")
    wait_for("the reason", lambda: "raise the sysctl net.core.optmem_max" in ours.state(NEAR, family))
    accepted = counter(OURS, "TcpPassiveOpens")
    wait_for("connections without a key", lambda: counter(OURS, "TcpPassiveOpens") >= accepted + 2, 60)
    assert not ours.up(NEAR, family) and ours.flaps(NEAR, family) == 0
    said = [line for line in ours.errors.read_text().splitlines() if "password" in line]
    assert len(said) == 1
    assert f"near{family} ({other(NEAR, family)})" in said[0] and "raise the sysctl net.core.optmem_max" in said[0]
    assert "secret" not in ours.errors.read_text()
    limit_option_memory(before)
    near.change(extra=key("secret"))
    ours.say("peer-gone " + other(NEAR, family))
    ours.peer(NEAR, family, "password secret")
    ours.wait_up(NEAR, family)


# ---- GTSM and TTL ----

GTSM_1 = "multihop 1; ttl security on;"
GTSM_2 = "multihop 2; ttl security on;"


@DIALS
def test_gtsm_with_a_neighbour(parts, here, there):
    ours, near = parts(NEAR)
    near.start(extra=there + GTSM_1)
    for f in FAMILIES:
        ours.peer(NEAR, f, f"gtsm 1 {here}")
    ours.wait_up(NEAR, *FAMILIES)
    assert counter(OURS, "TcpExtTCPMinTTLDrop") == counter(NEAR, "TcpExtTCPMinTTLDrop") == 0


@DIALS
def test_gtsm_two_hops_away(parts, here, there):
    ours, far = parts(FAR)
    far.start(extra=there + GTSM_2)
    for f in FAMILIES:
        ours.peer(FAR, f, f"gtsm 1 {here}")
    wait_for("segments that are dropped", lambda: counter(OURS, "TcpExtTCPMinTTLDrop") >= 4, 60)
    assert not any(ours.up(FAR, f) for f in FAMILIES) and not any(ours.flaps(FAR, f) for f in FAMILIES)
    for f in FAMILIES:
        ours.peer(FAR, f, f"gtsm 2 {here}")
    ours.wait_up(FAR, *FAMILIES)


@DIALS
def test_a_neighbour_that_sends_another_ttl(parts, here, there):
    ours, near = parts(NEAR)
    near.start(extra=there)  # the kernel's 64
    for f in FAMILIES:
        ours.peer(NEAR, f, f"gtsm 1 {here}")
    wait_for("segments that are dropped", lambda: counter(OURS, "TcpExtTCPMinTTLDrop") >= 4, 60)
    assert not any(ours.up(NEAR, f) for f in FAMILIES)
    near.change(extra=there + GTSM_1)
    ours.wait_up(NEAR, *FAMILIES)


def test_gtsm_is_turned_on_and_off(parts):
    """An accepted socket has what its peer wants now; BIRD checks what we send."""
    ours, near = parts(NEAR)
    near.start()
    for f in FAMILIES:
        ours.peer(NEAR, f, "passive")
    ours.wait_up(NEAR, *FAMILIES)
    for f in FAMILIES:
        ours.peer(NEAR, f, "passive gtsm 1")
    near.change(extra=GTSM_1)
    wait_for("new sessions", lambda: all(ours.up(NEAR, f) and ours.flaps(NEAR, f) for f in FAMILIES), 60)
    for f in FAMILIES:
        ours.peer(NEAR, f, "passive")
    dropped = counter(NEAR, "TcpExtTCPMinTTLDrop")
    wait_for("our 64 is too low again", lambda: counter(NEAR, "TcpExtTCPMinTTLDrop") >= dropped + 4, 60)
    assert not any(ours.up(NEAR, f) for f in FAMILIES)


@DIALS
@pytest.mark.parametrize("family, expired", [(4, "IcmpOutTimeExcds"), (6, "Icmp6OutTimeExcds")], ids=["v4", "v6"])
def test_ttl(parts, here, there, family, expired):
    ours, far = parts(FAR)
    far.start(extra=there)
    ours.peer(FAR, family, f"ttl 1 {here}")
    wait_for("packets that end at the router", lambda: counter(ROUTER, expired) >= 2, 60)
    assert not ours.up(FAR, family) and ours.flaps(FAR, family) == 0
    ours.peer(FAR, family, f"ttl 2 {here}")
    ours.wait_up(FAR, family)


def test_key_and_gtsm_together(parts):
    ours, far = parts(FAR)
    far.start(extra=GTSM_2 + key("secret"))
    for f in FAMILIES:
        ours.peer(FAR, f, "gtsm 2 password secret")
    ours.wait_up(FAR, *FAMILIES)


# ---- addresses and ports ----

def test_source_address(parts):
    """BIRD knows us by another address than the one the kernel would choose."""
    ours, near = parts(NEAR)
    second = {4: "172.31.1.77", 6: "fd31:1::77"}
    ip(OURS, "addr", "add", second[4] + "/24", "dev", "e1a")
    ip(OURS, "addr", "add", second[6] + "/64", "dev", "e1a", "nodad")
    near.start(extra="passive on;", ours=second.get)
    for f in FAMILIES:
        ours.say(f"peer {other(NEAR, f)} 64512 local {second[f]}")
    ours.wait_up(NEAR, *FAMILIES)
    for f in FAMILIES:
        assert second[f] in near.ask(f"show protocols all ours{f}")


def test_a_source_address_does_not_use_up_ports(parts):
    """One local port is enough for many peers: it is chosen when the other end is known."""
    ours, near, far = parts(NEAR, FAR)
    inside(OURS, "sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40000")
    same = {4: "172.31.9.9", 6: "fd31:9::9"}
    for f in FAMILIES:
        ip(OURS, "addr", "add", same[f], "dev", "lo")
        for ns, link in ((NEAR, 1), (FAR, 3)):
            via = address(link, 1 if ns == NEAR else 2, f)
            ip(ns, "route", "add", same[f], "via", via)
        ip(ROUTER, "route", "add", same[f], "via", address(2, 1, f))
    for b in (near, far):
        b.start(extra="passive on;", ours=same.get)
        for f in FAMILIES:
            ours.say(f"peer {other(b.ns, f)} 64512 local {same[f]}")
    ours.wait_up(NEAR, *FAMILIES)
    ours.wait_up(FAR, *FAMILIES)
    assert inside(OURS, "ss", "-tnH", "state", "established").count(":40000 ") == 4


def test_a_source_address_that_is_not_ours(parts):
    ours, = parts()
    for f, local in ((4, "172.31.1.99"), (6, "fd31:1::99")):
        ours.say(f"peer {other(NEAR, f)} 64512 local {local}")
        wait_for("the reason", lambda: f"this node does not have the local address {local}" in ours.state(NEAR, f))


@DIALS
def test_ports(parts, here, there):
    ours, near = parts(NEAR, listen=1179)
    near.start(extra=there, port=1790, ours_port=1179)
    for f in FAMILIES:
        ours.peer(NEAR, f, f"port 1790 {here}")
    ours.wait_up(NEAR, *FAMILIES)


# ---- where is listened ----

def set_bgp(**spec):
    text = ", ".join(f"{k}: {v}" for k, v in {"nodeToNodeMeshEnabled": "true", "asNumber": 64512, **spec}.items())
    doc = f"apiVersion: projectcalico.org/v3\nkind: BGPConfiguration\nmetadata: {{name: default}}\nspec: {{{text}}}\n"
    run(KORAT, "apply", "-f", "-", input=doc)


def listening(lab, node):
    """The addresses of BGP sockets, as ss writes them."""
    return sorted(line.split()[3] for line in lab.exec(node, "ss", "-ltnH").splitlines() if re.search(r":(179|1790)\s", line))


def sessions(lab, node):
    """Local and remote address and port of each session: the same as long as it is the same connection."""
    return sorted(tuple(line.split()[2:4]) for line in lab.exec(node, "ss", "-tnH", "state", "established").splitlines()
                  if re.search(r":(179|1790)\b", line))


def lab_status():
    return json.loads(run(KORAT, "lab", "status", "-o", "json").stdout)["nodes"]


def lab_nodes():
    return [(n["name"], n["address"].split("/")[0]) for n in lab_status()]


def speaker_pid(node):
    return next(n["speaker_pid"] for n in lab_status() if n["name"] == node)


def test_bind_mode(new_lab):
    """Sessions stay, sockets change, and nobody but us may be beside them."""
    lab = new_lab("--nodes", "2")
    nodes = lab_nodes()
    (a, addr), _ = nodes
    wait_for("the session", lambda: all(len(sessions(lab, n)) == 1 for n, _ in nodes))
    before = {n: sessions(lab, n) for n, _ in nodes}
    everywhere = listening(lab, a)
    assert len(everywhere) == 2 and f"{addr}:179" not in everywhere
    set_bgp(bindMode="NodeIP")
    wait_for("the node's own address only", lambda: listening(lab, a) == [f"{addr}:179"])
    set_bgp(bindMode="NodeIP", listenPort=1790)
    wait_for("the other port", lambda: listening(lab, a) == [f"{addr}:1790"])
    set_bgp(listenPort=1790)
    wait_for("every address", lambda: listening(lab, a) == sorted(x.replace("179", "1790") for x in everywhere))
    set_bgp(bindMode="NodeIP")
    wait_for("both at once", lambda: listening(lab, a) == [f"{addr}:179"])
    assert {n: sessions(lab, n) for n, _ in nodes} == before
    refused = lab.exec(a, "python3", "-c", "import socket\n"
                       f"s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
                       f"try: s.bind(('{addr}', 179)); s.listen()\nexcept OSError as e: print(e.strerror)")
    assert "in use" in refused
    # A fresh speaker is given its socket again, and the sessions come back through it.
    os.kill(speaker_pid(a), signal.SIGKILL)
    wait_for("the socket again", lambda: listening(lab, a) == [f"{addr}:179"], 30)
    wait_for("the session again", lambda: all(len(sessions(lab, n)) == 1 for n, _ in nodes), 60)
