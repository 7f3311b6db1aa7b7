"""Routes from the speaker into the kernel: an agent fed by a stand-in for its speaker, beside rtnetlink by hand in turns.

"into the kernel" is from the first message on the speaker's socket until the last route is in the kernel; the peer ("raw rtnetlink") is one thread that
does nothing but send prepared batches. "restart" is an agent that finds everything in place: it must not touch one route. "watch" is the speaker asking about all gateways and
hearing of each.
"""
import contextlib
import json
import subprocess
import threading
import time

import kit

GATEWAYS_NET = "172.31.64.1/18"  # as install.c has it


def build():
    src, out = kit.TOP / "bench/install.c", kit.BUILD / "bench-install"
    needs = [src, kit.TOP / "src/bgp/ipc.c", kit.TOP / "src/bgp/ipc.h"]
    if not out.exists() or out.stat().st_mtime < max(f.stat().st_mtime for f in needs):
        base = [kit.TOP / f"src/base/{name}.c" for name in ("addr", "check", "err")]
        kit.run("gcc", "-O2", "-std=gnu17", "-D_GNU_SOURCE", "-I", kit.TOP / "src", "-o", out, *needs[:2], *base)
    return out


class Agent(kit.Korat):
    """koratd's agent alone, whose speaker we play."""

    def __init__(self, tag, *options):
        self.dir = kit.directory(tag)
        self.nodes = kit.node_network(tag, 1)
        kit.run("ip", "-n", self.nodes[0], "addr", "add", GATEWAYS_NET, "dev", "eth0")
        self.store = self.dir / "store.db"
        self.names = ["node1"]
        self.options = options
        self.procs = []
        self._fill("10.8.0.0/14")

    def start(self):
        log = open(self.dir / "agent.log", "a")
        self.procs = [kit.start(self.nodes[0], kit.BUILD / "koratd", "agent", "--node", "node1", "--datastore", f"sqlite:{self.store}",
                                "--run-dir", self._run_dir(0), "--log-level", "warn", *self.options, stdout=log, stderr=log)]
        kit.wait_for(f"the agent (its log: {self.dir / 'agent.log'})", lambda: self._ready(0), 60, 0.005)

    def anonymous_kb(self):
        with open(f"/proc/{self.procs[0].pid}/smaps_rollup", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("Anonymous:"))

    def quit(self):
        kit.stop(*self.procs)


class Speaker:
    def __init__(self, agent, routes, gateways):
        self.p = kit.start(agent.nodes[0], kit.BUILD / "bench-install", "speaker", agent._run_dir(0) / "speaker.sock", routes, gateways,
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, verb):
        self.p.stdin.write(verb + "\n")
        self.p.stdin.flush()
        answer = self.p.stdout.readline().split()
        if not answer or answer[0] == "no":
            raise kit.Failed(f"the stand-in speaker could not do \"{verb}\"")
        return [int(x) for x in answer]

    def end(self):
        kit.stop(self.p)


class Events:
    """Counts what the kernel says about routes while something happens."""

    def __init__(self, netns):
        self.p = kit.start(netns, "ip", "-4", "-o", "monitor", "route", stdout=subprocess.PIPE)
        self.lines = 0
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        time.sleep(0.2)

    def _read(self):
        for line in self.p.stdout:
            self.lines += 1
            kit.say(f"install: an event in a restart: {line.decode().strip()}")

    def end(self):
        time.sleep(0.3)
        kit.stop(self.p)
        self.thread.join(5)
        return self.lines


def raw(netns, routes, gateways):
    """Seconds to add them; the kernel is empty again afterwards."""
    best = min((kit.run("nsenter", f"--net=/run/netns/{netns}", "--", kit.BUILD / "bench-install", "raw", routes, gateways, batch)
                for batch in (64, 256)), key=lambda text: int(text.split()[0]))
    return int(best.split()[0]) / 1e9


def flush(netns):
    for what in ["route", "flush", "proto", "bird"], ["nexthop", "flush", "proto", "bird"]:
        subprocess.run(["ip", "-n", netns, *what], check=False, capture_output=True)


def rounds(tag, routes, gateways, n, *options):
    """Medians of taking turns: seconds by us, seconds by hand; anonymous memory of the agent per route in bytes."""
    ours, hand, per_route = [], [], []
    for k in range(n):
        agent = Agent(f"{tag}{k}", *options)
        speaker = Speaker(agent, routes, gateways)
        try:
            hand.append(raw(agent.nodes[0], routes, gateways))
            agent.start()
            before = agent.anonymous_kb()
            ours.append(speaker.do("feed")[0] / 1e9)
            per_route.append((agent.anonymous_kb() - before) * 1024 / routes)
        finally:
            agent.quit()
            speaker.end()
            flush(agent.nodes[0])
            agent.end()
    return kit.median(ours), kit.median(hand), kit.median(per_route)


def restart(routes, gateways):
    """Seconds from the start of an agent until it knows that everything is in place; kernel events meanwhile."""
    agent = Agent("ins-r")
    speaker = Speaker(agent, routes, gateways)
    try:
        agent.start()
        speaker.do("feed")
        agent.quit()
        events = Events(agent.nodes[0])
        begun = time.monotonic()
        agent.start()
        started = time.monotonic() - begun
        speaker.do("tell")
        kit.wait_for("the agent to have compared", lambda: agent.status(0)["speaker_synced"], 60, 0.002)
        return started, time.monotonic() - begun, events.end()
    finally:
        agent.quit()
        speaker.end()
        flush(agent.nodes[0])
        agent.end()


def watch(gateways):
    """Seconds from the first question until the last answer."""
    agent = Agent("ins-w")
    speaker = Speaker(agent, 1, gateways)
    try:
        agent.start()
        taken, answers, reachable = speaker.do("watch")
        if answers != gateways or reachable != gateways:
            raise kit.Failed(f"{reachable} of {gateways} next hops are reachable for the agent, {answers} are answered")
        return taken / 1e9
    finally:
        agent.quit()
        speaker.end()
        agent.end()


def measure(quick):
    build()
    routes, n = (20000, 1) if quick else (100000, 3)
    for gateways in 1, 50:
        case = f"{routes} routes, {gateways} gateway{'s' * (gateways > 1)}"
        kit.say(f"install: {case}")
        ours, hand, per_route = rounds(f"ins{gateways}-", routes, gateways, n)
        yield ("install", case, "into the kernel", "ms", ours * 1000, "raw rtnetlink", hand * 1000)
        yield ("install", case, "agent's memory a route", "B", per_route, None, None)
    routes, gateways = (5000, 1000) if quick else (20000, 4000)
    for objects in "auto", "never":
        case = f"{routes} routes, {gateways} gateways, nexthop objects {objects}"
        kit.say(f"install: {case}")
        ours, hand, _ = rounds(f"ino{objects[0]}", routes, gateways, 1, "--nexthop-objects", objects)
        yield ("install", case, "into the kernel", "ms", ours * 1000, "raw rtnetlink", hand * 1000)
    routes = 20000 if quick else 100000
    kit.say("install: next hops")
    yield ("install", f"watch, {gateways} gateways", "answered", "ms", watch(gateways) * 1000, None, None)
    kit.say(f"install: restart with {routes} routes")
    started, done, events = restart(routes, 50)
    yield ("install", f"restart, {routes} routes", "ready", "ms", started * 1000, None, None)
    yield ("install", f"restart, {routes} routes", "compared", "ms", done * 1000, None, None)
    yield ("install", f"restart, {routes} routes", "kernel events", "", events, None, None)
