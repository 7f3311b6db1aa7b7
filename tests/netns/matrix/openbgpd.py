"""OpenBGPD, portable."""
import json

from .net import address
from .peer import ASN, PEERS, Daemon, Route, communities

# The daemon wants a user of its own and an empty directory; a namespace of mounts gives it both for its own eyes.
WRAP = """
cp /etc/passwd passwd; echo '_openbgpd:x:65533:65533::/run/openbgpd:/bin/false' >>passwd
cp /etc/group group; echo '_openbgpd:x:65533:' >>group
mount --bind passwd /etc/passwd && mount --bind group /etc/group && mount -t tmpfs tmpfs /run && mkdir -m 755 /run/openbgpd && exec "$@"
"""


class Openbgpd(Daemon):
    name, number = "openbgpd", 6
    title = "OpenBGPD"
    program = str(PEERS / "usr/sbin/bgpd")
    version = "7.7"
    v6_over_v4 = False          # the next hop it would tell is ::1
    answers_refresh = False     # see NO_REFRESH in cells.py
    says = {"max-prefix": "max-prefix exceeded"}

    def start(self, restarted=False):
        self.write()
        self.spawn("sh", "-c", WRAP, "sh", self.program, "-d", "-v", "-f", self.dir / "bgpd.conf")
        self.answers(lambda: "Neighbor" in self.ctl("show"))

    def write(self):
        conf = self.dir / "bgpd.conf"
        conf.write_text(self.config())
        conf.chmod(0o600)

    def config(self):
        lines = [f"AS {ASN}", f"router-id 192.0.2.{self.number}", f'socket "{self.dir}/bgpd.sock"', "fib-update no", "connect-retry 1"]
        for s in self.statics:
            lines.append(f"network {s.prefix} set {{ {self.carries(s)} }}")
        for s in self.sessions:
            lines += [f"neighbor {s.ours} {{", *("\t" + x for x in self.neighbor(s)), "}"]
        lines += ["allow from any", "allow to any"]
        return "\n".join(lines) + "\n"

    def carries(self, s):
        words = [f"community {c}" for c in s.communities] + [f"large-community {c}" for c in s.large]
        words += ["ext-community rt " + c.split(":", 1)[1] for c in s.ext]
        return " ".join([*words, f"metric {s.med}"])

    def neighbor(self, s):
        yield from (f"remote-as {s.asn}", *(f"local-address {address(s.number, s.n, 1, v6)}" for v6 in (False, True)),
                    f"holdtime {s.hold}", "holdtime min 3")
        if s.passive:
            yield "passive"
        if s.local_asn:
            yield f"local-as {s.local_asn}"
        if s.password:
            yield f"tcp md5sig password {s.password}"
        if s.gtsm:
            yield "ttl-security yes"
        if s.client:
            yield "route-reflector"
        for af in "46":
            yield f"announce IPv{af} {'unicast' if af in s.afs else 'none'}"
        yield "announce enhanced refresh yes"
        yield f"announce restart {'yes' if s.restart else 'no'}"
        if s.add_path == "recv":
            yield "announce add-path recv yes"
        if s.add_path == "send":
            yield "announce add-path send all"
        if s.role:
            yield f"announce policy {s.role}"
        if s.max_prefixes:
            yield f"max-prefix {s.max_prefixes}"

    def ctl(self, *words):
        return self.ask(PEERS / "usr/sbin/bgpctl", "-s", self.dir / "bgpd.sock", *words)

    def json(self, *words):
        said = self.ctl("-j", *words)
        return json.loads(said) if said.startswith("{") else {}

    def routes(self, s):
        table = {}
        for p in self.json("show", "rib", "in", "neighbor", s.ours, "detail").get("rib", []):
            table.setdefault(p["prefix"], []).append(route_of(p))
        return table

    def neighbor_json(self, s):
        found = self.json("show", "neighbor", s.ours).get("neighbors", [])
        return found[0] if found else {}

    def up(self, s):
        return self.neighbor_json(s).get("state") == "Established"

    def hold(self, s):
        return self.neighbor_json(s)["session"]["holdtime"]

    def changed(self, added=(), gone=()):
        for s in gone:
            self.ctl("network", "delete", s.prefix)
        for s in added:
            self.ctl("network", "add", s.prefix, *self.carries(s).split())

    def ask_refresh(self, s):
        self.ctl("neighbor", s.ours, "refresh")

    def shutdown(self, s, text):
        self.ctl("neighbor", s.ours, "down", text)

    def enable(self, s):
        self.ctl("neighbor", s.ours, "up")

    def reset(self, s):
        self.ctl("neighbor", s.ours, "clear")


def route_of(p):
    path = [int(x) for x in p.get("aspath", "").split() if x.isdigit()]
    r = Route(p["prefix"], path, p.get("exit_nexthop") or p.get("true_nexthop"), p.get("localpref"), p.get("metric"), text=json.dumps(p))
    r.communities = communities(p.get("communities", []))
    r.large = set(p.get("large_communities", []))
    r.ext = {c.replace(" ", ":") for c in p.get("extended_communities", [])}
    for a in p.get("attributes", []):
        r.originator = a.get("originator", r.originator)
        # It puts its own id in front when a route comes, not when it goes.
        r.clusters = [x for x in a.get("cluster_list", r.clusters) if x != f"192.0.2.{Openbgpd.number}"]
    r.path_id = p.get("path_id")
    return r
