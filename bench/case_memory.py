"""Memory of the processes of a node in full meshes, each node with one block, next to BIRD with the same peers and routes."""
import re
import time

import kit

FIELDS = {"Rss": "rss", "Anonymous": "anonymous", "Pss": "pss"}


def rollup(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        text = f.read()
    return {name: int(re.search(rf"^{field}:\s+(\d+) kB", text, re.M)[1]) for field, name in FIELDS.items()}


def medians(samples):
    return {name: kit.median([s[name] for s in samples]) for name in FIELDS.values()}


def korat(n):
    mesh = kit.Korat(f"mem-k{n}", n)
    plugins = kit.Plugins()
    try:
        pods = kit.add_netns([f"pod-mem-{i}" for i in range(n)])
        for i in range(n):
            plugins.call(mesh.call("Korat", i, "ADD", kit.container_id("mem", i + 1), pods[i]))
        for i in range(n):
            kit.wait_for(f"the routes of {mesh.names[i]}",
                         lambda: sum("proto bird" in r and " via " in r for r in kit.routes(mesh.nodes[i])) == n - 1, 120)
        time.sleep(2)
        found = [{role: rollup(pid) for role, pid in mesh.children(i).items()} for i in range(n)]
        kit.del_netns(pods)
    finally:
        plugins.end()
        mesh.end()
    return {role: medians([f[role] for f in found]) for role in ("speaker", "agent", "parent")}


def bird(n):
    mesh = kit.Bird(f"mem-b{n}", n)
    try:
        time.sleep(2)
        return medians([rollup(p.pid) for p in mesh.procs])
    finally:
        mesh.end()


def measure(quick):
    for n in (2, 10) if quick else (2, 10, 50):
        kit.say(f"memory: {n} nodes of Korat")
        ours = korat(n)
        kit.say(f"memory: {n} nodes of BIRD")
        theirs = bird(n)
        for metric in FIELDS.values():
            yield ("memory", f"speaker, {n} nodes", metric, "kB", ours["speaker"][metric], "BIRD 2", theirs[metric])
        for role in "agent", "parent":
            for metric in FIELDS.values():
                yield ("memory", f"{role}, {n} nodes", metric, "kB", ours[role][metric], None, None)
