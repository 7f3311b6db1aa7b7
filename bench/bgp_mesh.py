"""A full mesh from nothing: all nodes are started at one instant (bench/herd.c), every node has one block; until every kernel has the
routes of all others. Korat is all of koratd on a datastore that already has nodes and blocks, as after a power cut; BIRD does what it does
in Calico, with its configuration already rendered. All take turns in the same namespaces."""
import contextlib
import json
import subprocess
import time

import kit

LIMIT = 120


class KoratMesh:
    name = "Korat"

    def __init__(self, tag, nodes):
        self.mesh = kit.Korat(tag + "-k", len(nodes), nodes=nodes)
        self._claim()
        self.mesh.stop()

    def _claim(self):
        """A block for every node, claimed by a pod that comes and goes."""
        plugins = kit.Plugins()
        pods = kit.add_netns([f"pod-mesh-{i}" for i in range(len(self.mesh.nodes))])
        for verb in "ADD", "DEL":
            for i, pod in enumerate(pods):
                plugins.call(self.mesh.call("Korat", i, verb, kit.container_id("mesh", i + 1), pod))
        kit.del_netns(pods)
        plugins.end()

    def processes(self, i, pid):
        return self.mesh.children(i, pid)


class BirdMesh:
    def __init__(self, name, kind, tag, nodes):
        self.name = name
        self.mesh = kind(tag, len(nodes), nodes=nodes)

    def processes(self, i, pid):
        return {"speaker": pid}


class Herd:
    def __init__(self, side):
        mesh, n = side.mesh, len(side.mesh.nodes)
        self.p = kit.start(None, kit.BUILD / "bench-herd", n - 1, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        program = {c: str(kit.which(c)) for c in {str(mesh.command(i)[0]) for i in range(n)}}
        for i, node in enumerate(mesh.nodes):
            first, *rest = map(str, mesh.command(i))
            self.p.stdin.write("\t".join([node, str(mesh.log(i)), program[first], *rest]) + "\n")
        self.p.stdin.write("\n")
        self.p.stdin.flush()
        self.pids = [int(self._line().split()[2]) for _ in range(n)]
        if self._line() != "ready":
            raise kit.Failed("herd is not ready")

    def _line(self):
        line = self.p.stdout.readline()
        if not line:
            raise kit.Failed("herd ended; its words are above")
        return line.strip()

    def go(self):
        """Seconds until each node's kernel had everything."""
        self.p.stdin.write("go\n")
        self.p.stdin.flush()
        at, stop = {}, time.monotonic() + LIMIT
        while len(at) < len(self.pids):
            if time.monotonic() > stop:
                raise kit.Failed(f"{len(at)} of {len(self.pids)} nodes have all routes after {LIMIT} s")
            with contextlib.suppress(ValueError):
                i, ns = self._line().split()
                at[int(i)] = int(ns) / 1e9
        return list(at.values())

    def end(self):
        self.p.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.p.wait(timeout=20)
        kit.stop(self.p)


def taken(side, herd, what):
    """A list of {role: value} for the nodes."""
    return [{role: what(pid) for role, pid in side.processes(i, pid).items()} for i, pid in enumerate(herd.pids)]


def as_new(nodes):
    """No routes left of the last run, and no neighbours known."""
    for node in nodes:
        kit.ip_batch(["route flush proto bird", "route flush table local proto bird", "neigh flush all"], node)


def cold_start(side):
    as_new(side.mesh.nodes)
    herd = Herd(side)
    time.sleep(1)
    foreign = kit.Foreign()
    try:
        at = herd.go()
        cpu = taken(side, herd, kit.cpu_seconds)
        foreign.add(sum(sum(c.values()) for c in cpu) + kit.cpu_seconds(herd.p.pid))
        share = foreign.percent()
        time.sleep(2)
        memory = taken(side, herd, kit.rollup)
    finally:
        herd.end()
    return {"last": max(at), "median": kit.median(at), "foreign": share,
            "cpu": kit.median([1e3 * c["speaker"] for c in cpu]), "cpu_all": kit.median([1e3 * sum(c.values()) for c in cpu]),
            "rss": kit.median([m["speaker"]["rss"] / 1024 for m in memory]),
            "rss_all": kit.median([sum(p["rss"] for p in m.values()) / 1024 for m in memory]),
            "anonymous_all": kit.median([sum(p["anonymous"] for p in m.values()) / 1024 for m in memory])}


METRICS = [("last node", "s", "last"), ("median node", "s", "median"), ("processor a node, speaker", "ms", "cpu"),
           ("processor a node, all of it", "ms", "cpu_all"), ("memory a node, speaker", "MB", "rss"), ("memory a node, all of it", "MB", "rss_all"),
           ("anonymous memory a node, all of it", "MB", "anonymous_all")]


def one_size(n, sides, rounds):
    runs = {s.name: [] for s in sides}
    for r in range(rounds):
        for s in sides[r % len(sides):] + sides[:r % len(sides)]:
            kit.say(f"mesh: {n} nodes: round {r + 1} of {rounds}: {s.name}")
            try:
                runs[s.name].append(cold_start(s))
            except kit.Failed as e:
                kit.note(f"mesh, {n} nodes: {s.name}: {e}")
    return runs


def medians(runs):
    return {name: {key: kit.median([run[key] for run in rs]) for _, _, key in METRICS} for name, rs in runs.items() if rs}


def measure(quick, rounds):
    for n in (20,) if quick else (20, 50, 100):
        kit.say(f"mesh: making {n} nodes")
        tag = f"mesh{n}"
        nodes = kit.node_network(tag, n)
        sides = [KoratMesh(tag, nodes), BirdMesh("BIRD 2", kit.Bird, tag + "-b2", nodes)]
        if not quick:
            sides.append(BirdMesh("BIRD 1.6", kit.Bird1, tag + "-b1", nodes))
        runs = one_size(n, sides, rounds or (1 if quick else 3))
        kit.remove_node_network(nodes)
        found, case = medians(runs), f"{n} nodes, cold start"
        for metric, unit, key in METRICS:
            for s in sides[1:]:
                yield "mesh", case, metric, unit, found.get("Korat", {}).get(key), s.name, found.get(s.name, {}).get(key)
        yield kit.foreign_row("mesh", case, [run["foreign"] for rs in runs.values() for run in rs])
