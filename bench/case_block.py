"""From the moment the kernel of node A has a new block's blackhole to the moment the kernel of node B has the route to it.

Korat: an ADD on A asks for an address of a block that nobody has, so A claims the block; when the store has acknowledged that, the agent
puts the blackhole into the kernel and tells the speaker. BIRD: the blackhole is put into A's kernel from outside and learned by BIRD
(Calico's confd renders files and sends SIGHUP instead, which takes longer). Both are watched by one process with one clock.
"""
import queue
import random
import subprocess
import threading
import time

import kit

WAIT = 10


class Watch:
    def __init__(self, a, b):
        self.p = kit.start(None, kit.BUILD / "bench-rtwatch", a, b, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.p.stdout.readline() != "ready\n":
            raise kit.Failed("rtwatch did not start")
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.p.stdout:
            self.lines.put(line.split())

    def ask(self, verb, prefix):
        self.p.stdin.write(f"{verb} {prefix}\n")
        self.p.stdin.flush()

    def both(self, event, prefix):
        """When A and B had the event for the prefix."""
        seen, end = {}, time.monotonic() + WAIT
        while len(seen) < 2:
            try:
                at, side, what, dst, *_ = self.lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise kit.Failed(f"{prefix} did not arrive within {WAIT} s (seen on: {', '.join(seen) or 'neither node'})") from None
            if (what, dst) == (event, prefix):
                seen.setdefault(side, int(at))
        return seen["A"], seen["B"]

    def end(self):
        kit.stop(self.p)


class KoratSide:
    def __init__(self):
        self.mesh = kit.Korat("blk-k", 2)
        self.watch = Watch(*self.mesh.nodes)
        self.plugins = kit.Plugins()
        self.count = 0
        self.claims, self.whole = [], []
        self._wait_for_session()

    def _wait_for_session(self):
        """A first block on A arrives on B when the session is up."""
        self._add()
        kit.wait_for("the session between the two koratd", lambda: any(r.startswith("10.9.0.0/26 via") for r in kit.routes(self.mesh.nodes[1])), 60)
        self._del()

    def _add(self):
        k = self.count
        self.pod = kit.container_id("block", k + 1)
        (self.netns,) = kit.add_netns(["pod-block"])
        return self.plugins.call(self.mesh.call("Korat", 0, "ADD", self.pod, self.netns, f";IP=10.9.{k // 4}.{k % 4 * 64 + 5}"))

    def _del(self):
        self.plugins.call(self.mesh.call("Korat", 0, "DEL", self.pod, self.netns))
        kit.del_netns([self.netns])
        self.count += 1

    def sample(self):
        block = f"10.9.{self.count // 4}.{self.count % 4 * 64}/26"
        _, began = self._add()
        a, b = self.watch.both("NEW", block)
        self.claims.append((b - a) / 1e6)
        self.whole.append((b - began) / 1e6)
        self._del()

    def end(self):
        self.plugins.end()
        self.watch.end()
        self.mesh.end()


class BirdSide:
    def __init__(self):
        self.mesh = kit.Bird("blk-b", 2, extra="10.200.0.0/16").start()
        self.watch = Watch(*self.mesh.nodes)
        self.count = 0
        self.claims = []

    def sample(self):
        block = f"10.200.{self.count // 4}.{self.count % 4 * 64}/26"
        self.count += 1
        self.watch.ask("add", block)
        a, b = self.watch.both("NEW", block)
        self.claims.append((b - a) / 1e6)

    def end(self):
        self.watch.end()
        self.mesh.end()


def measure(quick):
    rounds, samples = (3, 10) if quick else (8, 40)
    kit.say("block: starting two nodes of each")
    sides = [KoratSide(), BirdSide()]
    try:
        time.sleep(3)  # BIRD's first scans
        per_round = {s: [] for s in sides}
        for r in range(rounds):
            kit.say(f"block: round {r + 1} of {rounds}, {samples} blocks for each of 2")
            for s in sides:
                s.claims = []
            for _ in range(samples):
                for s in random.sample(sides, 2):
                    s.sample()
                    # Both have timers (scans, keepalives): every phase shall be met.
                    time.sleep(random.uniform(0.02, 0.12))
            for s in sides:
                per_round[s].append(s.claims)
    finally:
        for s in sides:
            s.end()
    korat, bird = per_round[sides[0]], per_round[sides[1]]
    everything = {"korat": [t for r in korat for t in r], "bird": [t for r in bird for t in r]}
    yield ("block", "A's kernel to B's kernel", "median", "ms", kit.median([kit.median(r) for r in korat]), "BIRD 2",
           kit.median([kit.median(r) for r in bird]))
    for metric, pick in ("p99", lambda v: kit.percentile(v, 99)), ("worst", max):
        yield ("block", "A's kernel to B's kernel", metric, "ms", pick(everything["korat"]), "BIRD 2", pick(everything["bird"]))
    yield ("block", "start of ADD on A to B's kernel", "median", "ms", kit.median(sides[0].whole), None, None)
