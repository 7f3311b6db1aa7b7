"""One speaker under load from bench/blast.c: a feed and a listener, everybody to everybody, a reflector and its clients."""
import dataclasses
import time

import bgp_peers
import kit
from bgp_blast import Plan, one_run

MB = 1024
SLOW = 25  # seconds: whoever needs longer for a round is measured once


@dataclasses.dataclass(frozen=True)
class Load:
    case: str
    plan: Plan
    peers: tuple              # besides Korat
    whole: bool = False       # memory of the whole process, not its growth


FAST = ("BIRD 2", "BIRD 1.6", "FRR", "OpenBGPD")
EVERYBODY = FAST + ("GoBGP",)


def feed(n, **kw):
    return Plan(prefixes=n, withdraw=True, limit=90, **kw)


def mix(n, per, **kw):
    return Plan(sessions=n, all=True, prefixes=per, limit=90, **kw)


def reflector(n, per, **kw):
    return Plan(sessions=n, all=True, prefixes=per, length=26, ibgp=True, **{"limit": 90, "flaps": 10, **kw})


LOADS = {
    "feed": [
        Load("100 k, shared attributes", feed(100_000), EVERYBODY),
        Load("100 k, new attributes every 5", feed(100_000, fresh=5, path=4), EVERYBODY),
        Load("100 k, new attributes every 5, iBGP", feed(100_000, fresh=5, path=4, ibgp=True), EVERYBODY),
        Load("1 M, shared attributes", feed(1_000_000), FAST),
        Load("1 M, new attributes every 5", feed(1_000_000, fresh=5, path=4), FAST),
        Load("1 M, new attributes every 5, iBGP", feed(1_000_000, fresh=5, path=4, ibgp=True), FAST),
    ],
    "fanout": [
        Load("10 peers x 1 k", mix(10, 1_000), EVERYBODY),
        Load("50 peers x 10 k", mix(50, 10_000), FAST),
    ],
    "reflector": [
        Load("100 clients x 4", reflector(100, 4), EVERYBODY, whole=True),
        Load("1 000 clients x 1", reflector(1_000, 1), FAST, whole=True),
        Load("1 000 clients x 4", reflector(1_000, 4), FAST, whole=True),
        Load("5 000 clients x 1", reflector(5_000, 1, limit=60, flaps=5), ("BIRD 2", "FRR"), whole=True),
        Load("5 000 clients x 4", reflector(5_000, 4, limit=60, flaps=5), ("BIRD 2", "FRR"), whole=True),
    ],
}
# Without FRR the sessions need not rest so long.
QUICK = {
    "feed": [Load("100 k, shared attributes", feed(100_000, rest=0.5), ("BIRD 2", "BIRD 1.6")),
             Load("1 M, new attributes every 5", feed(1_000_000, fresh=5, path=4, rest=0.5), ("BIRD 2",))],
    "fanout": [Load("10 peers x 1 k", mix(10, 1_000, rest=0.5), ("BIRD 2",))],
    "reflector": [Load("300 clients x 4", reflector(300, 4, flaps=2), ("BIRD 2", "FRR"), whole=True)],
}


def describe(load):
    """Why somebody is not in it."""
    absent = [k.name for k in bgp_peers.ALL[1:] if k.name not in load.peers]
    return f"{', '.join(absent)}: not measured here" if absent else ""


def run_all(bench, load, rounds):
    """{name: [run, ...]}; a failed run ends a speaker's turn."""
    kinds = [k for k in bgp_peers.ALL if k is bgp_peers.Korat or k.name in load.peers]
    runs = {k.name: [] for k in kinds}
    done = set()
    for r in range(rounds):
        for k in kinds[r % len(kinds):] + kinds[:r % len(kinds)]:
            if k.name in done:
                continue
            kit.say(f"{bench}: {load.case}: round {r + 1} of {rounds}: {k.name}")
            began = time.monotonic()
            run = one_run(k, load.plan)
            runs[k.name].append(run)
            if "failed" in run:
                kit.note(f"{bench}, {load.case}: {k.name}: {run['failed']}")
                done.add(k.name)
            elif time.monotonic() - began > SLOW and r + 1 < rounds:
                kit.note(f"{bench}, {load.case}: {k.name}: one round only, as it took {time.monotonic() - began:.0f} s")
                done.add(k.name)
    return runs


def metrics(load):
    """Name, unit, and how a run says it."""
    plan = load.plan
    prefixes = plan.prefixes * (plan.sessions if plan.all else plan.feeds)
    yield "last has all" if plan.sessions > 2 else "all handed on", "s", lambda r: r["feed"]["last"]
    if plan.sessions > 2:
        yield "median has all", "s", lambda r: r["feed"]["median"]
    if plan.flaps:
        yield "one prefix, until the last has it", "ms", lambda r: kit.median(r["flap"])
    if plan.withdraw:
        yield "all withdrawn", "s", lambda r: r["withdraw"]["last"]
    if load.whole:
        yield "memory", "MB", lambda r: r["feed"]["rss"] / MB
    else:
        yield "memory grows by", "MB", lambda r: (r["feed"]["rss"] - r["idle"]["rss"]) / MB
        yield "memory a route", "B", lambda r: (r["feed"]["rss"] - r["idle"]["rss"]) * 1024 / prefixes
    yield "memory, peak", "MB", lambda r: max(r["feed"]["peak"], r.get("withdraw", r["feed"])["peak"]) / MB - (0 if load.whole else r["idle"]["rss"] / MB)
    yield "processor", "s", lambda r: r["feed"]["speaker_cpu"]
    yield "load generator busy", "%", lambda r: 100 * r["feed"]["cpu"] / r["feed"]["last"]


def values(load, runs):
    """{name: {metric: median}} of those that managed."""
    good = {name: [r for r in rs if "failed" not in r] for name, rs in runs.items()}
    return {name: {m: kit.median([of(r) for r in rs]) for m, _, of in metrics(load)} for name, rs in good.items() if rs}


def measure(bench, quick, rounds):
    for load in (QUICK if quick else LOADS)[bench]:
        runs = run_all(bench, load, rounds or (1 if quick else 3))
        found = values(load, runs)
        if why := describe(load):
            kit.note(f"{bench}, {load.case}: {why}")
        for name, v in found.items():
            if v["load generator busy"] > 90:
                kit.note(f"{bench}, {load.case}: {name}: the load generator was the limit; the speaker alone would be faster")
        ours = found.get("Korat", {})
        for metric, unit, _ in metrics(load):
            for name in runs:
                if name != "Korat":
                    yield bench, load.case, metric, unit, ours.get(metric), name, found.get(name, {}).get(metric)
        yield kit.foreign_row(bench, load.case, [r["foreign"] for rs in runs.values() for r in rs if "foreign" in r])
