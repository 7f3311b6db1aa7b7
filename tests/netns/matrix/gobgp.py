"""GoBGP."""
import json
import os

from .peer import ASN, PEERS, Daemon, Route

FAMILY = {"4": "ipv4-unicast", "6": "ipv6-unicast"}


class Gobgp(Daemon):
    name, number = "gobgp", 4
    title = "GoBGP"
    program = str(PEERS / "usr/bin/gobgpd")
    version = "3.10.0"
    keeps_forwarding = False    # only when it was restarted
    returns = False     # it stays idle for 30 s, whatever is configured
    honours_no_export = False   # it passes such routes on to other ASes

    def start(self, restarted=False):
        conf = self.dir / "gobgpd.toml"
        conf.write_text(self.config())
        env = dict(os.environ, GOMAXPROCS="2")
        self.spawn(self.program, "-f", conf, "-p", "-l", "debug", "--api-hosts", "127.0.0.1:50051", "--pprof-disable",
                   *(["-r"] if restarted else []), env=env)
        self.answers(lambda: "Router-ID" in self.cli("global") and len(self.cli("neighbor").splitlines()) > len(self.sessions))
        self.changed(added=self.statics)

    def cli(self, *words):
        return self.ask(PEERS / "usr/bin/gobgp", *words)

    def config(self):
        lines = ["[global.config]", f"as = {ASN}", f'router-id = "192.0.2.{self.number}"', "port = 179"]
        for s in self.sessions:
            lines += self.neighbor(s)
        return "\n".join(lines) + "\n"

    def neighbor(self, s):
        yield "[[neighbors]]"
        yield from ("[neighbors.config]", f'neighbor-address = "{s.ours}"', f"peer-as = {s.asn}")
        if s.local_asn:
            yield f"local-as = {s.local_asn}"
        if s.password:
            yield f'auth-password = "{s.password}"'
        yield from ("[neighbors.transport.config]", f'local-address = "{s.theirs}"')
        if s.passive:
            yield "passive-mode = true"
        yield from ("[neighbors.timers.config]", f"hold-time = {s.hold}", f"keepalive-interval = {max(s.hold // 3, 1)}",
                    "connect-retry = 1", "idle-hold-time-after-reset = 1")
        if s.gtsm:
            yield from ("[neighbors.ttl-security.config]", "enabled = true", "ttl-min = 255")
        if s.client:
            yield from ("[neighbors.route-reflector.config]", "route-reflector-client = true",
                        f'route-reflector-cluster-id = "192.0.2.{self.number}"')
        if s.restart:
            yield from ("[neighbors.graceful-restart.config]", "enabled = true", f"restart-time = {s.restart}", "deferral-time = 5")
            if s.notification:
                yield "notification-enabled = true"
            if s.llgr:
                yield "long-lived-enabled = true"
        for af in s.afs:
            yield from self.family(s, af)

    def family(self, s, af):
        yield from ("[[neighbors.afi-safis]]", "[neighbors.afi-safis.config]", f'afi-safi-name = "{FAMILY[af]}"')
        if s.restart:
            yield from ("[neighbors.afi-safis.mp-graceful-restart.config]", "enabled = true")
        if s.llgr:
            yield from ("[neighbors.afi-safis.long-lived-graceful-restart.config]", "enabled = true", f"restart-time = {s.llgr}")
        if s.add_path == "recv":
            yield from ("[neighbors.afi-safis.add-paths.config]", "receive = true")
        if s.add_path == "send":
            yield from ("[neighbors.afi-safis.add-paths.config]", "send-max = 8")
        if s.max_prefixes:
            yield from ("[neighbors.afi-safis.prefix-limit.config]", f"max-prefixes = {s.max_prefixes}")

    def routes(self, s):
        table = {}
        for af in s.afs:
            said = self.cli("-j", "neighbor", s.ours, "adj-in", "-a", "ipv" + af)
            if not said.startswith(("{", "[")):
                continue
            for prefix, paths in json.loads(said).items():
                table[prefix] = [route_of(prefix, p) for p in paths]
        return table

    def neighbor_json(self, s):
        said = self.cli("-j", "neighbor", s.ours)
        return json.loads(said) if said.startswith("{") else {}

    def up(self, s):
        return self.neighbor_json(s).get("state", {}).get("session_state") == 6

    def hold(self, s):
        return int(self.neighbor_json(s)["timers"]["state"]["negotiated_hold_time"])

    def changed(self, added=(), gone=()):
        for s in gone:
            self.cli("global", "rib", "-a", "ipv6" if s.v6 else "ipv4", "del", s.prefix)
        for s in added:
            words = ["origin", "igp"]
            for kind, values in (("community", s.communities), ("large-community", s.large)):
                if values:
                    words += [kind, ",".join(values)]
            for c in s.ext:
                words += c.split(":", 1)
            if s.med:
                words += ["med", s.med]
            said = self.cli("global", "rib", "-a", "ipv6" if s.v6 else "ipv4", "add", s.prefix, *words)
            assert not said, said

    def ask_refresh(self, s):
        self.cli("neighbor", s.ours, "softresetin")

    def shutdown(self, s, text):
        self.cli("neighbor", s.ours, "shutdown", "--reason", text)

    def enable(self, s):
        self.cli("neighbor", s.ours, "enable")

    def reset(self, s):
        self.cli("neighbor", s.ours, "reset")


def number_pair(v):
    return f"{v >> 16}:{v & 0xffff}"


def route_of(prefix, p):
    r = Route(prefix, [], "", text=json.dumps(p))
    for a in p.get("attrs", []):
        kind = a.get("type")
        if kind == 2:
            r.as_path = [n for seg in a.get("as_paths") or [] for n in seg["asns"]]
        elif kind == 3:
            r.next_hop = a["nexthop"]
        elif kind == 14:
            r.next_hop = a["nexthop"]
        elif kind == 4:
            r.med = a["metric"]
        elif kind == 5:
            r.local_pref = a["value"]
        elif kind == 8:
            r.communities = {number_pair(v) for v in a["communities"]}
        elif kind == 9:
            r.originator = a["value"]
        elif kind == 10:
            r.clusters = a["value"]
        elif kind == 16:
            r.ext = {"rt:" + x["value"] for x in a["value"] if x.get("subtype") == 2}
        elif kind == 32:
            r.large = {f"{x['ASN']}:{x['LocalData1']}:{x['LocalData2']}" for x in a["value"]}
    r.path_id = p.get("nlri", {}).get("path_identifier", p.get("id"))
    return r
