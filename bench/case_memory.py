"""Memory of the processes of a node in full meshes, each node with one block, next to BIRD with the same peers and routes."""
import time

import kit

FIELDS = "rss", "anonymous", "pss"


def medians(samples):
    return {name: kit.median([s[name] for s in samples]) for name in FIELDS}


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
        found = [{role: kit.rollup(pid) for role, pid in mesh.children(i).items()} for i in range(n)]
        kit.del_netns(pods)
    finally:
        plugins.end()
        mesh.end()
    return {role: medians([f[role] for f in found]) for role in ("speaker", "agent", "parent")}


def bird(n):
    mesh = kit.Bird(f"mem-b{n}", n).start()
    try:
        time.sleep(2)
        return medians([kit.rollup(p.pid) for p in mesh.procs])
    finally:
        mesh.end()


def measure(quick):
    for n in (2, 10) if quick else (2, 10, 50):
        kit.say(f"memory: {n} nodes of Korat")
        ours = korat(n)
        kit.say(f"memory: {n} nodes of BIRD")
        theirs = bird(n)
        for metric in FIELDS:
            yield ("memory", f"speaker, {n} nodes", metric, "kB", ours["speaker"][metric], "BIRD 2", theirs[metric])
        for role in "agent", "parent":
            for metric in FIELDS:
                yield ("memory", f"{role}, {n} nodes", metric, "kB", ours[role][metric], None, None)
