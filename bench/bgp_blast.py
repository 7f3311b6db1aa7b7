"""One speaker between many sessions of bench/blast.c: a run gives the time, memory and processor time of each phase."""
import contextlib
import dataclasses
import itertools
import json
import queue
import subprocess
import threading
import time

import bgp_peers
import kit

_numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Plan:
    sessions: int = 2
    feeds: int = 1           # the others hear
    all: bool = False        # everybody feeds and hears
    prefixes: int = 1000     # of each feed
    length: int = 24
    fresh: int = 0           # new attributes every so many prefixes
    path: int = 0            # AS numbers in the path besides the feed's own
    ibgp: bool = False       # clients of a reflector
    asn: int = 65001         # of the first, if not
    flaps: int = 0
    withdraw: bool = False
    limit: int = 60          # seconds a phase may take
    rest: float = 1.5        # seconds from the sessions to the first route

    def words(self):
        asn = bgp_peers.ASN if self.ibgp else self.asn
        return ["sessions", self.sessions, "feeds", self.feeds, "all", int(self.all), "prefixes", self.prefixes, "length", self.length,
                "fresh", self.fresh, "path", self.path, "as", asn, "as-step", int(not self.ibgp), "to-as", bgp_peers.ASN,
                "tick", 5, "limit", self.limit]


class Site:
    """Two namespaces with a cable between them: the speaker's, and blast's with an address for every session."""

    def __init__(self):
        self.number = next(_numbers)
        self.short = [f"bgp-{self.number}-s", f"bgp-{self.number}-b"]
        self.speaker, self.blast = kit.add_netns(self.short)
        kit.ip_batch([f"link add eth0 type veth peer name eth0 netns {self.speaker}"], self.blast)
        kit.ip_batch(["link set lo up", "addr add 10.9.0.1/24 dev eth0", "link set eth0 up", "route add local 10.10.0.0/16 dev lo"], self.blast)
        kit.ip_batch(["link set lo up", "addr add 10.9.0.2/24 dev eth0", "link set eth0 up", "route add 10.10.0.0/16 via 10.9.0.1"], self.speaker)

    def end(self):
        kit.end_all_in(self.blast)
        kit.end_all_in(self.speaker)
        kit.remove_netns(self.short)


class Blast:
    def __init__(self, plan, site):
        self.plan = plan
        self.p = kit.start(site.blast, kit.BUILD / "bench-blast", bgp_peers.ME, bgp_peers.client_address(0), *plan.words(),
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.p.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def answer(self, seconds):
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            raise kit.Failed("blast does not answer") from None
        if line is None:
            raise Broken(self.p.stderr.read().strip())
        return line

    def order(self, what, seconds):
        self.p.stdin.write(what + "\n")
        self.p.stdin.flush()
        return self.answer(seconds)


class Broken(Exception):
    """A session ended, or did not come up: what blast said."""


def _listening(speaker):
    speaker.check()
    for pid in speaker.pids():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/net/tcp", encoding="ascii") as f:
            return any(line.split()[1].endswith(":00B3") and line.split()[3] == "0A" for line in f.read().splitlines()[1:])
    return False


def _taken(speaker):
    """All its processes together."""
    total = {"rss": 0, "peak": 0, "cpu": 0.0}
    for pid in speaker.pids():
        with contextlib.suppress(OSError):
            total["rss"] += kit.rollup(pid)["rss"]
            total["peak"] += kit.peak_rss(pid)
            total["cpu"] += kit.cpu_seconds(pid)
    return total


def _phase(speaker, blast, order):
    before = _taken(speaker)
    result = blast.order(order, blast.plan.limit + 30)
    after = _taken(speaker)
    result.update(speaker_cpu=after["cpu"] - before["cpu"], rss=after["rss"], peak=after["peak"])
    if not result["complete"]:
        raise Broken(f"{result['done']} of {result['hearers']} complete after {blast.plan.limit} s")
    if result["strange"]:
        raise kit.Failed(f"{speaker.name} told {result['strange']} prefixes that nobody had announced")
    return result


def one_run(kind, plan):
    """What one speaker needed for the plan; {"failed": why} if it did not manage."""
    site, foreign, run = Site(), kit.Foreign(), {}
    try:
        speaker = kind(plan, site)
        kit.wait_for(f"{kind.name} to listen", lambda: _listening(speaker), 30)
        time.sleep(0.2)
        run["idle"] = _taken(speaker)
        blast = Blast(plan, site)
        run["up"] = blast.answer(plan.limit + 30)["up"]
        # What belongs to sessions coming up (FRR's timers most of all) is over before the clock starts.
        time.sleep(plan.rest)
        run["feed"] = _phase(speaker, blast, "feed")
        if plan.flaps:
            run["flap"] = blast.order(f"flap {plan.flaps}", 60 + plan.flaps * 25)["ms"]
        if plan.withdraw:
            run["withdraw"] = _phase(speaker, blast, "withdraw")
        for pid in speaker.pids() + getattr(speaker, "helper_pids", list)() + [blast.p.pid]:
            foreign.add(kit.cpu_seconds(pid))
        run["foreign"] = foreign.percent()
    except (Broken, kit.Failed) as e:
        run["failed"] = str(e)
    finally:
        site.end()
    return run
