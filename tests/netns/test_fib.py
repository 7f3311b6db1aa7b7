"""Learned routes and next hops on the real kernel, with a stand-in for the speaker (agent_drive): what is in the table, how it got
there, and what the speaker hears. Needs root.
"""
import json
import os
import subprocess
import threading

import pytest
from conftest import BUILD, KORAT, run, wait_for

KORATD = str(BUILD / "koratd")
DRIVE = BUILD / "tests/netns/agent_drive"
NS = f"korat-fib-{os.getpid()}"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not DRIVE.exists(), reason="agent_drive is not built"),
]


class Reader:
    """The lines of a process, as they come."""

    def __init__(self, *cmd, **kw):
        self.p = subprocess.Popen([str(c) for c in cmd], stdout=subprocess.PIPE, text=True, **kw)
        self.lines = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.p.stdout:
            self.lines.append(line.strip())

    def end(self):
        if self.p.poll() is None:
            self.p.terminate()
        self.p.wait(10)


class Node:
    """A namespace with two networks, each an interface whose other end is here, too; an agent, and its speaker played by us."""

    def __init__(self, tmp):
        self.tmp = tmp
        self.store = f"sqlite:{tmp}/store.db"
        self.procs = []
        self.agent = None
        run("ip", "netns", "add", NS)
        self.batch("link set lo up", "link add eth0 type veth peer name far0", "link add eth1 type veth peer name far1",
                   "link set far0 up", "link set far1 up", "link set eth0 up", "link set eth1 up",
                   "addr add 172.16.67.138/24 dev eth0", "addr add 172.16.68.138/24 dev eth1", "addr add fd00:67::138/64 dev eth0 nodad")
        self.start()
        docs = [{"kind": "Node", "metadata": {"name": "node1"}, "spec": {"bgp": {"ipv4Address": "172.16.67.138/24"}}},
                {"kind": "BGPConfiguration", "metadata": {"name": "default"}, "spec": {"asNumber": 64512}}]
        run(KORAT, "apply", "--datastore", self.store, "-f", "-",
            input="\n---\n".join(json.dumps({"apiVersion": "projectcalico.org/v3", **d}) for d in docs))
        self.drive = self.watch_process(DRIVE, tmp / "speaker.sock", stdin=subprocess.PIPE)
        self.wait_agent(1)

    def batch(self, *lines):
        run("ip", "-n", NS, "-batch", "-", input="\n".join(lines) + "\n")

    def watch_process(self, *cmd, **kw):
        r = Reader("nsenter", f"--net=/run/netns/{NS}", "--", *cmd, **kw)
        self.procs.append(r)
        return r

    def start(self, *options):
        self.log = open(self.tmp / "agent.log", "a")
        self.agent = subprocess.Popen(["nsenter", f"--net=/run/netns/{NS}", "--", KORATD, "agent", "--node", "node1", "--datastore", self.store,
                                       "--run-dir", str(self.tmp), *options], stderr=self.log, stdout=self.log)
        wait_for("the agent's datastore", lambda: (self.tmp / "agent.sock").exists())

    def stop(self):
        self.agent.terminate()
        assert self.agent.wait(20) == 0

    def restart(self, *options):
        seen = self.drive.lines.count("agent")
        self.stop()
        self.start(*options)
        self.wait_agent(seen + 1)

    def wait_agent(self, times):
        wait_for("the agent to find its speaker", lambda: self.drive.lines.count("agent") >= times, 30)

    def say(self, *lines):
        self.drive.p.stdin.write("".join(line + "\n" for line in lines))
        self.drive.p.stdin.flush()

    def routes(self, *which):
        text = run("ip", "-n", NS, "route", "show", *(which or ("proto", "bird"))).stdout
        return [" ".join(line.split()) for line in text.replace("\n\t", " ").splitlines()]

    def wait_routes(self, *routes):
        wait_for(f"the routes {routes} (log: {(self.tmp / 'agent.log').read_text()})", lambda: self.routes() == list(routes))

    def wait_heard(self, line, times=1):
        wait_for(f"{line!r} {times} times", lambda: self.drive.lines.count(line) >= times)

    def objects(self):
        text = run("ip", "-n", NS, "-j", "nexthop", "show").stdout
        return json.loads(text) if text.strip() else []

    def events(self):
        r = self.watch_process("ip", "-o", "monitor", "route", "nexthop")
        mark = "192.0.2.%d" % len(self.procs)

        def heard():
            # Anew each time: to say the same again is no event.
            run("ip", "-n", NS, "route", "replace", "blackhole", mark)
            run("ip", "-n", NS, "route", "del", mark)
            return len([line for line in r.lines if mark in line])
        wait_for("events", heard)

        def ours():
            """Everything that was said until now, without what we did ourselves."""
            before = len(r.lines)
            heard()
            wait_for("the last event", lambda: any(line.startswith("Deleted") and mark in line for line in r.lines[before:]))
            return [line for line in r.lines if mark not in line]
        return ours

    def end(self):
        if self.agent and self.agent.poll() is None:
            self.agent.terminate()
            self.agent.wait(20)
        for r in self.procs:
            r.end()


@pytest.fixture
def node(tmp_path):
    tmp_path.chmod(0o755)
    n = None
    try:
        n = Node(tmp_path)
        yield n
    finally:
        if n:
            n.end()
        run("ip", "netns", "del", NS, check=False)


def test_a_next_hop_that_becomes_unreachable(node):
    node.say("watch 172.16.68.9", "watch 172.16.67.138", "watch 192.168.1.1", "watch fd00:67::9", "route 10.8.1.0/26 172.16.68.9", "synced")
    node.wait_routes("10.8.1.0/26 via 172.16.68.9 dev eth1")
    node.wait_heard("nexthop 172.16.68.9 reachable 0 eth1")
    node.wait_heard("nexthop 172.16.67.138 unreachable - -")  # our own address
    node.wait_heard("nexthop 192.168.1.1 unreachable - -")
    node.wait_heard("nexthop fd00:67::9 reachable 0 eth0")
    # Only a route of BGP's leads there: it does not count.
    node.say("route 192.168.1.0/24 172.16.67.9")
    node.wait_routes("10.8.1.0/26 via 172.16.68.9 dev eth1", "192.168.1.0/24 via 172.16.67.9 dev eth0")
    node.say("gone 192.168.1.0/24")
    # A router has a way, with a metric of its own.
    node.batch("route add 192.168.0.0/16 via 172.16.67.1 metric 30")
    node.wait_heard("nexthop 192.168.1.1 reachable 30 eth0")
    node.batch("link set eth1 down")
    node.wait_heard("nexthop 172.16.68.9 unreachable - -")
    node.wait_routes("unreachable 10.8.1.0/26")
    node.batch("link set eth1 up")
    node.wait_heard("nexthop 172.16.68.9 reachable 0 eth1", 2)
    node.wait_routes("10.8.1.0/26 via 172.16.68.9 dev eth1")
    node.say("unwatch 172.16.68.9")
    node.batch("addr del 172.16.68.138/24 dev eth1")
    node.wait_routes("unreachable 10.8.1.0/26")
    assert node.drive.lines.count("nexthop 172.16.68.9 unreachable - -") == 1


def test_several_next_hops_are_changed_in_place(node):
    node.say("synced", "route 10.8.1.0/26 172.16.67.9")
    node.wait_routes("10.8.1.0/26 via 172.16.67.9 dev eth0")
    events = node.events()
    node.say("route 10.8.1.0/26 172.16.67.9 172.16.68.9")
    both = "10.8.1.0/26 nexthop via 172.16.67.9 dev eth0 weight 1 nexthop via 172.16.68.9 dev eth1 weight 1"
    node.wait_routes(both)
    node.say("route 10.8.1.0/26 172.16.68.9")
    node.wait_routes("10.8.1.0/26 via 172.16.68.9 dev eth1")
    said = [line for line in events() if "10.8.1.0/26" in line]
    assert len(said) == 2 and not any(line.startswith("Deleted") for line in said), said


@pytest.mark.parametrize("objects", ["never", "always"])
def test_a_restart_changes_nothing(node, objects):
    node.restart("--nexthop-objects", objects)
    told = [f"route 10.8.{i // 4}.{i % 4 * 64}/26 172.16.67.{i % 20 + 10}" for i in range(1000)] + ["route 10.9.0.0/26 172.16.67.10 172.16.68.10"]
    node.say(*told, "synced")
    wait_for("a thousand routes", lambda: len(node.routes()) == 1001)
    assert len(node.objects()) == (20 if objects == "always" else 0)
    assert all(o["protocol"] == "bird" for o in node.objects())
    before = node.routes()
    assert sum("nhid" in r for r in before) == (1000 if objects == "always" else 0)
    events = node.events()
    node.restart("--nexthop-objects", objects)
    node.say(*told, "synced", "watch 172.16.67.9")
    node.wait_heard("nexthop 172.16.67.9 reachable 0 eth0")
    # All has been told by now; what there is to do about it is done with the next thing that is.
    node.say("route 10.9.1.0/26 172.16.67.10")
    wait_for("one more", lambda: len(node.routes()) == 1002)
    said = [line for line in events() if "10.9.1.0/26" not in line]
    assert said == []
    # What is not told again goes, its objects too.
    node.restart("--nexthop-objects", objects)
    node.say(*told[:1], "synced")
    wait_for("the rest to go", lambda: len(node.routes()) == 1)
    wait_for("its objects to go", lambda: len(node.objects()) == (objects == "always"))


def test_objects_that_the_kernel_drops(node):
    node.restart("--nexthop-objects", "always")
    node.say("synced", "route 10.8.1.0/26 172.16.67.9", "route 10.8.2.0/26 172.16.68.9", "route 10.8.3.0/26 172.16.68.9")
    wait_for("routes through objects", lambda: sum("nhid" in r for r in node.routes()) == 3)
    ids = {o["id"] for o in node.objects()}
    assert len(ids) == 2
    # Carrier: the kernel drops object and routes without a word.
    node.batch("link set far1 down")
    wait_for("routes to go", lambda: not any("172.16.68.9" in r for r in node.routes()))
    node.batch("link set far1 up")
    wait_for("routes to be back", lambda: sum("nhid" in r for r in node.routes()) == 3, 30)
    # Somebody.
    node.batch(f"nexthop del id {[o['id'] for o in node.objects() if o['gateway'] == '172.16.68.9'][0]}")
    wait_for("routes to be back", lambda: sum("nhid" in r for r in node.routes()) == 3, 30)
    # The same node without them: in place.
    events = node.events()
    node.restart("--nexthop-objects", "never")
    node.say("route 10.8.1.0/26 172.16.67.9", "route 10.8.2.0/26 172.16.68.9", "route 10.8.3.0/26 172.16.68.9", "synced")
    node.wait_routes("10.8.1.0/26 via 172.16.67.9 dev eth0", "10.8.2.0/26 via 172.16.68.9 dev eth1", "10.8.3.0/26 via 172.16.68.9 dev eth1")
    wait_for("objects to go", lambda: not node.objects())
    assert not any(line.startswith("Deleted 10.8.") for line in events())


def test_others_objects_and_routes_are_left_alone(node):
    node.batch("nexthop add id 77 via 172.16.67.77 dev eth0", "route add 10.8.7.0/26 nhid 77", "route add 10.8.1.0/26 via 172.16.67.1 proto static")
    node.restart("--nexthop-objects", "always")
    node.say("route 10.8.1.0/26 172.16.67.9", "route 10.8.2.0/26 172.16.67.9", "synced")
    wait_for("the route that is free", lambda: any(r.startswith("10.8.2.0/26 nhid") for r in node.routes()))
    assert node.routes("10.8.1.0/26") == ["10.8.1.0/26 via 172.16.67.1 dev eth0 proto static"]
    assert "nhid 77" in node.routes("10.8.7.0/26")[0]
    # When the foreign one goes, ours takes its place.
    node.batch("route del 10.8.1.0/26")
    wait_for("ours", lambda: any(r.startswith("10.8.1.0/26 nhid") for r in node.routes()), 30)
    # Somebody takes a route of ours away: it comes back.
    node.batch("route del 10.8.2.0/26")
    wait_for("it is back", lambda: any(r.startswith("10.8.2.0/26 nhid") for r in node.routes()), 30)
    assert 77 in {o["id"] for o in node.objects()}


def test_many_routes_and_changes_meanwhile(node):
    """More than one batch, and a link that goes while they are under way."""
    told = [f"route 10.{64 + i // 1024}.{i // 4 % 256}.{i % 4 * 64}/26 172.16.68.{i % 50 + 10}" for i in range(8000)]
    node.say(*told[:4000])
    node.batch("link set eth1 down")
    node.say(*told[4000:])
    node.batch("link set eth1 up")
    node.say("synced")
    wait_for("all of them", lambda: sum("dev eth1" in r for r in node.routes()) == 8000, 90)
    node.say(*["gone " + t.split()[1] for t in told])
    wait_for("none of them", lambda: not node.routes(), 60)
