"""The speaker against a real BIRD 2, in two namespaces, IPv4 and IPv6: sessions, routes both ways, withdrawal, restarts.

Needs root and `bird`. The speaker runs under speaker_drive (its source says what can be said to it).
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("KORAT_BUILD", TOP / "build"))
DRIVE = BUILD / "tests/netns/speaker_drive"
BIRD = shutil.which("bird") or "/usr/sbin/bird"
NS_BIRD, NS_OURS = "korat-t-core-bird", "korat-t-core-ours"
V4_BIRD, V4_OURS, V6_BIRD, V6_OURS = "172.31.9.1", "172.31.9.2", "fd31:9::1", "fd31:9::2"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not os.path.exists(BIRD), reason="needs bird"),
    pytest.mark.skipif(not DRIVE.exists(), reason="speaker_drive is not built"),
]

CONF = """
router id {v4_bird};
log "{dir}/bird.log" all;
protocol device {{ }}
protocol static s4 {{ ipv4; {static4} }}
protocol static s6 {{ ipv6; {static6} }}
protocol bgp ours4 {{
	local {v4_bird} as {bird_asn};
	neighbor {v4_ours} as 64512;
	{extra}
	connect delay time 1; connect retry time 1; error wait time 1,2;
	ipv4 {{ import all; export where source = RTS_STATIC; {channel} }};
}}
protocol bgp ours6 {{
	local {v6_bird} as {bird_asn};
	neighbor {v6_ours} as 64512;
	{extra}
	connect delay time 1; connect retry time 1; error wait time 1,2;
	ipv6 {{ import all; export where source = RTS_STATIC; {channel} }};
}}
"""


def run(*cmd, check=True):
    r = subprocess.run([str(c) for c in cmd], capture_output=True, text=True, timeout=30)
    if check and r.returncode:
        raise AssertionError(f"{' '.join(map(str, cmd))}: {r.stdout}{r.stderr}")
    return r.stdout


def wait_for(what, probe, seconds=20):
    end = time.monotonic() + seconds
    while not (value := probe()):
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for: {what}")
        time.sleep(0.05)
    return value


class Bird:
    def __init__(self, path, **kw):
        self.dir = path
        self.conf = path / "bird.conf"
        self.proc = None
        self.kw = dict(bird_asn=64512, extra="", channel="", static4="", static6="")
        self.kw.update(kw)

    def start(self, *options):
        self.conf.write_text(CONF.format(dir=self.dir, v4_bird=V4_BIRD, v4_ours=V4_OURS, v6_bird=V6_BIRD, v6_ours=V6_OURS,
                                         **self.kw))
        self.proc = subprocess.Popen(["ip", "netns", "exec", NS_BIRD, BIRD, "-f", "-c", str(self.conf), "-s",
                                      str(self.dir / "bird.ctl"), *options])
        wait_for("bird answers", lambda: "BIRD" in self.ask("show status"))

    def ask(self, *words):
        return run("birdc", "-s", self.dir / "bird.ctl", *" ".join(words).split(), check=False)

    def routes(self, proto):
        """{prefix: text of its attributes}"""
        out, last = {}, None
        for line in self.ask("show route protocol", proto, "all").splitlines():
            m = re.match(r"(\S+/\d+)\s", line)
            if m:
                last = m[1]
                out[last] = ""
            elif last:
                out[last] += line + "\n"
        return out

    def stop(self, how=signal.SIGTERM):
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(how)
            self.proc.wait(10)


class Ours:
    def __init__(self, path):
        self.path = path / "speaker.sock"
        self.lines = []
        self.start()

    def start(self):
        self.lines = []
        self.proc = subprocess.Popen(["ip", "netns", "exec", NS_OURS, str(DRIVE), str(self.path)], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True, bufsize=1)
        threading.Thread(target=self._read, args=(self.proc,), daemon=True).start()

    def _read(self, proc):
        for line in proc.stdout:
            self.lines.append(line.split(" ", 1)[1].strip())

    def say(self, *lines):
        for line in lines:
            self.proc.stdin.write(line + "\n")
        self.proc.stdin.flush()

    def routes(self):
        table = {}
        for line in list(self.lines):
            w = line.split(" ", 2)
            if w[0] == "route":
                table[w[1]] = w[2]
            elif w[0] == "gone":
                table.pop(w[1], None)
        return table

    def peer(self, addr):
        states = [line for line in list(self.lines) if line.startswith(f"peer {addr} ")]
        return states[-1] if states else ""

    def up(self, *addrs):
        return all(f"peer {a} Established" in self.peer(a) for a in addrs)

    def stop(self, how=""):
        if self.proc.poll() is None:
            self.say("quit " + how)
            self.proc.wait(15)


@pytest.fixture
def net(tmp_path):
    def clean():
        for ns in (NS_BIRD, NS_OURS):
            run("ip", "netns", "del", ns, check=False)
    clean()
    for ns in (NS_BIRD, NS_OURS):
        run("ip", "netns", "add", ns)
        run("ip", "-n", ns, "link", "set", "lo", "up")
    run("ip", "link", "add", "kc-bird", "netns", NS_BIRD, "type", "veth", "peer", "name", "kc-ours", "netns", NS_OURS)
    for ns, dev, v4, v6 in ((NS_BIRD, "kc-bird", V4_BIRD, V6_BIRD), (NS_OURS, "kc-ours", V4_OURS, V6_OURS)):
        run("ip", "-n", ns, "link", "set", dev, "up")
        run("ip", "-n", ns, "addr", "add", v4 + "/24", "dev", dev)
        run("ip", "-n", ns, "addr", "add", v6 + "/64", "dev", dev, "nodad")
    yield tmp_path
    clean()


@pytest.fixture
def pair(net, request):
    started = []

    def make(bird=None, config="config 64512 172.31.9.2", peer="", asn=64512):
        b = Bird(net, static4="route 10.8.152.192/26 blackhole; route 10.8.153.0/26 blackhole;",
                 static6="route fd10:8::/122 blackhole;", **(bird or {}))
        o = Ours(net)
        started.extend((b, o))
        b.start()
        o.say(config, "listen 179", f"peer {V4_BIRD} {asn} local {V4_OURS} {peer} name bird4",
              f"peer {V6_BIRD} {asn} local {V6_OURS} {peer} name bird6",
              "origin 10.8.112.0/26", "origin fd10:112::/122", "stated")
        wait_for("both sessions", lambda: o.up(V4_BIRD, V6_BIRD))
        return b, o
    yield make
    for x in started:
        x.stop()


def test_sessions_and_routes_both_ways(pair):
    bird, ours = pair()
    wait_for("routes from bird", lambda: {"10.8.152.192/26", "10.8.153.0/26", "fd10:8::/122"} <= set(ours.routes()))
    assert ours.routes()["10.8.152.192/26"] == f"via {V4_BIRD} from {V4_BIRD}"
    assert ours.routes()["fd10:8::/122"] == f"via {V6_BIRD} from {V6_BIRD}"
    assert ours.routes()["10.8.112.0/26"] == "own"
    wait_for("routes to bird", lambda: bird.routes("ours4") and bird.routes("ours6"))
    four, six = bird.routes("ours4"), bird.routes("ours6")
    assert list(four) == ["10.8.112.0/26"] and list(six) == ["fd10:112::/122"]
    assert f"BGP.next_hop: {V4_OURS}" in four["10.8.112.0/26"]
    assert f"BGP.next_hop: {V6_OURS}" in six["fd10:112::/122"]
    assert "BGP.origin: IGP" in four["10.8.112.0/26"] and "BGP.local_pref: 100" in four["10.8.112.0/26"]
    assert re.search(r"BGP.as_path: *$", four["10.8.112.0/26"], re.M)
    wait_for("everything was told", lambda: "synced" in ours.lines)


def test_change_and_withdrawal(pair):
    bird, ours = pair()
    wait_for("routes", lambda: "10.8.153.0/26" in ours.routes() and bird.routes("ours4"))
    ours.say("origin 10.8.113.0/26", "origin-gone 10.8.112.0/26", "origin-gone fd10:112::/122")
    wait_for("changes at bird", lambda: list(bird.routes("ours4")) == ["10.8.113.0/26"] and not bird.routes("ours6"))
    bird.ask("disable s4")
    wait_for("withdrawal here", lambda: "10.8.153.0/26" not in ours.routes() and "10.8.152.192/26" not in ours.routes())
    assert "fd10:8::/122" in ours.routes()
    bird.ask("enable s4")
    wait_for("announced again", lambda: "10.8.153.0/26" in ours.routes())


def test_route_refresh_from_bird(pair):
    bird, ours = pair()
    wait_for("routes", lambda: bird.routes("ours4"))
    bird.ask("reload in ours4")
    wait_for("refresh was answered", lambda: re.search(r"updates \d+ [3-9]", ours.peer(V4_BIRD)))
    assert list(bird.routes("ours4")) == ["10.8.112.0/26"] and ours.up(V4_BIRD, V6_BIRD)


def test_external_peer(pair):
    bird, ours = pair(bird={"bird_asn": 65001, "extra": "multihop 2;"}, asn=65001)
    wait_for("routes", lambda: bird.routes("ours4") and bird.routes("ours6"))
    text = bird.routes("ours4")["10.8.112.0/26"]
    assert "BGP.as_path: 64512" in text and f"BGP.next_hop: {V4_OURS}" in text
    ours.say("dump 10.8.152.192/26")
    wait_for("dump", lambda: "dump-end" in ours.lines)
    row = [x for x in ours.lines if x.startswith("path ")][0]
    assert "aslen 1 first 65001" in row and " best [" in row and ": the only path" in row


def test_we_are_passive(pair):
    bird, ours = pair(peer="passive")
    wait_for("routes", lambda: bird.routes("ours4") and "10.8.153.0/26" in ours.routes())


def test_bird_is_passive(pair):
    bird, ours = pair(bird={"extra": "passive on;"})
    wait_for("routes", lambda: bird.routes("ours4") and "10.8.153.0/26" in ours.routes())


def test_bird_restarts(pair):
    bird, ours = pair()
    wait_for("routes", lambda: "10.8.153.0/26" in ours.routes())
    bird.stop()
    wait_for("gone with its session", lambda: "10.8.153.0/26" not in ours.routes() and "fd10:8::/122" not in ours.routes())
    assert "NOTIFICATION: Cease" in ours.peer(V4_BIRD)
    bird.start()
    wait_for("back", lambda: ours.up(V4_BIRD, V6_BIRD) and "10.8.153.0/26" in ours.routes())
    wait_for("ours there", lambda: bird.routes("ours4") and bird.routes("ours6"))


def test_bird_killed_keeps_routes_with_graceful_restart(pair):
    bird, ours = pair(bird={"extra": "graceful restart on;"}, config="config 64512 172.31.9.2 restart 120")
    wait_for("routes", lambda: "10.8.153.0/26" in ours.routes() and "fd10:8::/122" in ours.routes())
    wait_for("synced", lambda: "synced" in ours.lines)
    wait_for("ours there", lambda: bird.routes("ours4") and bird.routes("ours6"))
    before = len(ours.lines)
    bird.stop(signal.SIGKILL)
    wait_for("session is down", lambda: not ours.up(V4_BIRD) and not ours.up(V6_BIRD))
    bird.start("-R")
    wait_for("back", lambda: ours.up(V4_BIRD, V6_BIRD))
    wait_for("bird has ours", lambda: bird.routes("ours4") and bird.routes("ours6"))
    wait_for("bird's End-of-RIB", lambda: re.search(r"updates [3-9]", ours.peer(V4_BIRD)))
    assert not [x for x in ours.lines[before:] if x.startswith(("route ", "gone "))]


def test_we_are_killed_and_bird_keeps_our_routes(pair):
    bird, ours = pair(bird={"extra": "graceful restart on;"}, config="config 64512 172.31.9.2 restart 120")
    wait_for("routes", lambda: bird.routes("ours4") and bird.routes("ours6"))
    ours.stop("kill")
    wait_for("bird noticed", lambda: "Established" not in bird.ask("show protocols ours4"))
    assert list(bird.routes("ours4")) == ["10.8.112.0/26"] and list(bird.routes("ours6")) == ["fd10:112::/122"]
    ours.start()
    ours.say("config 64512 172.31.9.2 restart 120", "listen 179", f"peer {V4_BIRD} 64512 local {V4_OURS}",
             f"peer {V6_BIRD} 64512 local {V6_OURS}", "origin 10.8.112.0/26", "stated")
    wait_for("back", lambda: ours.up(V4_BIRD, V6_BIRD))
    wait_for("synced", lambda: "synced" in ours.lines)
    wait_for("swept what was not repeated", lambda: not bird.routes("ours6"))
    assert list(bird.routes("ours4")) == ["10.8.112.0/26"]


def test_sigterm_says_nothing(pair):
    bird, ours = pair(bird={"extra": "graceful restart on;"}, config="config 64512 172.31.9.2 restart 120")
    wait_for("routes", lambda: bird.routes("ours4"))
    ours.stop()
    wait_for("bird noticed", lambda: "Established" not in bird.ask("show protocols ours4"))
    assert list(bird.routes("ours4")) == ["10.8.112.0/26"]
    assert "Received" not in (bird.dir / "bird.log").read_text().split("ours4: BGP session established")[-1]


def test_wrong_as_number_is_said(net):
    bird, ours = Bird(net, bird_asn=64513), Ours(net)
    try:
        bird.start()
        ours.say("config 64512 172.31.9.2", "listen 179", f"peer {V4_BIRD} 64512 local {V4_OURS}", "stated")
        wait_for("the reason", lambda: "AS number mismatch: peer says 64513, expected 64512" in ours.peer(V4_BIRD))
    finally:
        ours.stop()
        bird.stop()


def test_agent_restart_touches_no_session(pair):
    bird, ours = pair()
    wait_for("routes", lambda: bird.routes("ours4") and "10.8.153.0/26" in ours.routes())
    since = bird.ask("show protocols ours4")
    before = len(ours.lines)
    ours.say("reconnect", "config 64512 172.31.9.2", f"peer {V4_BIRD} 64512 local {V4_OURS} name renamed",
             f"peer {V6_BIRD} 64512 local {V6_OURS}", "origin 10.8.114.0/26", "stated")
    wait_for("everything is told again", lambda: any(x.startswith("route 10.8.153.0/26") for x in ours.lines[before:]))
    wait_for("swept and stated", lambda: list(bird.routes("ours4")) == ["10.8.114.0/26"])
    assert bird.ask("show protocols ours4") == since
    ours.say(f"peer-gone {V6_BIRD}")
    wait_for("only that one ends", lambda: "Established" not in bird.ask("show protocols ours6"))
    assert bird.ask("show protocols ours4") == since
