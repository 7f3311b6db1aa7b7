"""ADD and DEL of the CNI plugins, one call after another, each pod in a fresh namespace, the contenders taking turns."""
import json
import os
import random
import time

import kit

KORAT, MEMORY, PTP, BARE = "Korat", "Korat, datastore in memory", "ptp + host-local", "bare kernel calls"


class Contender:
    def __init__(self, label, tag, fields):
        self.label, self.tag, self.fields = label, tag, fields
        self.count = 0
        self.rounds = {"ADD": [], "DEL": []}
        self.pods = []


def ptp_fields():
    (host,) = kit.add_netns(["cni-ptp"])
    d = kit.directory("ptp")
    conf = d / "cni.conf"
    conf.write_text(json.dumps({"cniVersion": "1.0.0", "name": "bench", "type": "ptp", "ipMasq": False,
                                "ipam": {"type": "host-local", "dataDir": str(d / "addresses"), "ranges": [[{"subnet": "10.78.0.0/16"}]],
                                         "routes": [{"dst": "0.0.0.0/0"}]}}))
    return lambda verb, pod, netns: (PTP, host, "/usr/lib/cni/ptp", conf, "/usr/lib/cni", verb, pod, netns, "")


def bare_fields():
    (host,) = kit.add_netns(["cni-bare"])
    conf = kit.directory("bare") / "cni.conf"
    conf.write_text("{}")
    return lambda verb, pod, netns: (BARE, host, kit.BUILD / "bench-bare", conf, kit.BUILD, verb, pod, netns, "")


def contenders():
    disk = kit.Korat("cni-disk", 1)
    mem = kit.Korat("cni-mem", 1, kit.memory_directory("memory"))
    return [disk, mem], [
        Contender(KORAT, "disk", lambda verb, pod, netns: disk.call(KORAT, 0, verb, pod, netns)),
        Contender(PTP, "ptp", ptp_fields()),
        Contender(MEMORY, "mem", lambda verb, pod, netns: mem.call(MEMORY, 0, verb, pod, netns)),
        Contender(BARE, "bare", bare_fields()),
    ]


def one_round(plugins, all_of_them, pods):
    for c in all_of_them:
        c.pods = [(kit.container_id(c.tag, c.count + k + 1), f"{kit.PREFIX}pod-{c.tag}-{k}") for k in range(pods)]
        c.count += pods
        kit.add_netns([netns.removeprefix(kit.PREFIX) for _, netns in c.pods])
    for verb in "ADD", "DEL":
        times = {c: [] for c in all_of_them}
        for k in range(pods):
            order = all_of_them[:]
            random.shuffle(order)
            for c in order:
                ns, _ = plugins.call(c.fields(verb, *c.pods[k]))
                times[c].append(ns / 1e6)
        for c in all_of_them:
            c.rounds[verb].append(times[c])
    kit.del_netns([netns for c in all_of_them for _, netns in c.pods])
    time.sleep(0.3)  # the kernel takes namespaces apart in the background


def fsync_ms():
    """One small append and its fdatasync on the datastore's file system: what an acknowledged write costs at the least."""
    path, times = kit.directory("fsync") / "file", []
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    for k in range(60):
        os.pwrite(fd, b"x" * 4096, k * 4096)
        start = time.perf_counter()
        os.fdatasync(fd)
        times.append((time.perf_counter() - start) * 1e3)
    os.close(fd)
    return kit.median(times)


def rows_of(verb, all_of_them):
    by = {c.label: c for c in all_of_them}
    values = {label: {"median": kit.median([kit.median(r) for r in c.rounds[verb]]),
                      "p99": kit.percentile([t for r in c.rounds[verb] for t in r], 99)} for label, c in by.items()}
    for metric in "median", "p99":
        yield kit_row(verb, metric, values[KORAT][metric], PTP, values[PTP][metric])
    for other in MEMORY, BARE:
        yield kit_row(verb, "median", values[KORAT]["median"], other, values[other]["median"])


def kit_row(verb, metric, korat, peer, value):
    return ("cni", verb, metric, "ms", korat, peer, value)


def measure(quick):
    rounds, pods = (3, 12) if quick else (9, 25)
    syncs = [fsync_ms()]
    meshes, all_of_them = contenders()
    plugins = kit.Plugins()
    try:
        for r in range(rounds + 1):
            kit.say(f"cni: {'warm-up' if r == 0 else f'round {r} of {rounds}'}, {pods} pods for each of {len(all_of_them)}")
            one_round(plugins, all_of_them, pods)
            if r == 0:
                for c in all_of_them:
                    c.rounds = {"ADD": [], "DEL": []}
        syncs.append(fsync_ms())
    finally:
        plugins.end()
        for m in meshes:
            m.end()
    yield from rows_of("ADD", all_of_them)
    yield from rows_of("DEL", all_of_them)
    yield ("cni", "fdatasync", "median", "ms", kit.median(syncs), None, None)
