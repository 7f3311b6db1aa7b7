"""FRR's bgpd, without zebra: it keeps the routes, the kernel never sees them."""
import ipaddress
import json
import os

from .peer import ASN, PEERS, Daemon, Route, communities

LIBRARIES = ":".join(str(PEERS / "usr/lib/x86_64-linux-gnu" / x) for x in ("frr", ""))


def networks(statics, number):
    """The statements that announce, with a route map each for what they carry."""
    for af in "46":
        yield f" address-family ipv{af} unicast"
        for s in statics:
            if s.v6 == (af == "6"):
                yield f"  network {s.prefix} route-map {map_name(s)}"
        yield " exit-address-family"


def map_name(s):
    return "w" + s.prefix.replace("/", "-").replace(":", "-")


def route_map(s):
    yield f"route-map {map_name(s)} permit 10"
    if s.communities:
        yield f" set community {' '.join(s.communities)}"
    if s.large:
        yield f" set large-community {' '.join(s.large)}"
    for c in s.ext:
        yield f" set extcommunity {c.replace(':', ' ', 1)}"
    if s.med:
        yield f" set metric {s.med}"
    yield "exit"


class Frr(Daemon):
    name, number = "frr", 3
    title = "FRR"
    program = str(PEERS / "usr/lib/frr/bgpd")
    version = "8.4.4"

    @property
    def env(self):
        return dict(os.environ, LD_LIBRARY_PATH=LIBRARIES)

    def start(self, restarted=False):
        conf = self.dir / "bgpd.conf"
        conf.write_text(self.config())
        # Without a file that says so, vtysh asks PAM who we are, which only an installed FRR has told about it.
        (self.dir / "vtysh.conf").write_text("username root nopassword\n")
        (self.dir / "bgpd.pid").unlink(missing_ok=True)
        self.spawn(self.program, "-S", "-Z", "-n", "-f", conf, "-i", self.dir / "bgpd.pid", "--vty_socket", self.dir, "-P", "0",
                   "--log", "stdout", env=self.env)
        self.answers(lambda: "local AS number" in self.vty("show bgp summary"))

    def vty(self, *lines):
        words = [x for line in lines for x in ("-c", line)]
        return self.ask(PEERS / "usr/bin/vtysh", "--config_dir", self.dir, "--vty_socket", self.dir, *words, env=self.env)

    def config(self):
        lines = ["debug bgp neighbor-events", "debug bgp updates in"]
        for s in self.statics:
            lines += route_map(s)
        lines += [f"router bgp {ASN}", f" bgp router-id 192.0.2.{self.number}", " no bgp ebgp-requires-policy",
                  " no bgp default ipv4-unicast", " no bgp network import-check", " coalesce-time 10",
                  " bgp graceful-restart select-defer-time 3",
                  " no bgp suppress-duplicates", " bgp graceful-restart preserve-fw-state"]
        if any(s.restart for s in self.sessions):
            lines.append(" bgp graceful-restart restart-time 15")       # one for all; the rows about long-lived restart wait for it
        if any(s.llgr for s in self.sessions):
            lines.append(f" bgp long-lived-graceful-restart stale-time {max(s.llgr for s in self.sessions)}")
        for s in self.sessions:
            lines += self.neighbor(s)
        lines += networks(self.statics, self.number)
        for af in "46":
            lines.append(f" address-family ipv{af} unicast")
            for s in self.sessions:
                if af in s.afs:
                    lines += self.activate(s)
            lines.append(" exit-address-family")
        return "\n".join(lines) + "\n"

    def neighbor(self, s):
        def say(text):
            return f" neighbor {s.ours} {text}"
        yield say(f"remote-as {s.asn}")
        yield say(f"update-source {s.theirs}")
        yield say(f"timers {max(s.hold // 3, 1)} {s.hold}")
        yield say("timers connect 1")
        yield say("advertisement-interval 0")
        yield say("disable-connected-check")
        yield say("graceful-restart" if s.restart else "graceful-restart-disable")
        if s.passive:
            yield say("passive")
        if s.password:
            yield say(f"password {s.password}")
        if s.gtsm:
            yield say("ttl-security hops 1")
        if s.local_asn:
            yield say(f"local-as {s.local_asn} no-prepend replace-as")
        if s.role:
            yield say(f"local-role {'rs-server' if s.role == 'rs' else s.role}")
        if s.ext_nexthop:
            yield say("capability extended-nexthop")

    def activate(self, s):
        def say(text):
            return f"  neighbor {s.ours} {text}"
        yield say("activate")
        yield say("send-community all")
        if s.client:
            yield say("route-reflector-client")
        if s.add_path == "send":
            yield say("addpath-tx-all-paths")
        if s.max_prefixes:
            yield say(f"maximum-prefix {s.max_prefixes}")

    def families(self, s):
        return [f"ipv{af}" for af in s.afs]

    def routes(self, s):
        table = {}
        for af in self.families(s):
            said = self.vty(f"show bgp {af} unicast json detail")
            for prefix, entry in json.loads(said or "{}").get("routes", {}).items():
                mine = [route_of(prefix, p) for p in entry if p.get("peer", {}).get("peerId") == s.ours]
                if mine:
                    table[str(ipaddress.ip_network(prefix))] = mine
        return table

    def neighbor_json(self, s):
        said = json.loads(self.vty(f"show bgp neighbors {s.ours} json") or "{}")
        return said.get(s.ours, {})

    def up(self, s):
        return self.neighbor_json(s).get("bgpState") == "Established"

    def hold(self, s):
        return self.neighbor_json(s)["bgpTimerHoldTimeMsecs"] // 1000

    def configure(self, *lines):
        return self.vty("configure terminal", *lines)

    def changed(self, added=(), gone=()):
        for s in gone:
            self.configure(f"router bgp {ASN}", f"address-family ipv{6 if s.v6 else 4} unicast", f"no network {s.prefix}")
        for s in added:
            self.configure(*[x.strip() for x in route_map(s)], f"router bgp {ASN}",
                           f"address-family ipv{6 if s.v6 else 4} unicast", f"network {s.prefix} route-map {map_name(s)}")

    def ask_refresh(self, s):
        for af in self.families(s):
            self.vty(f"clear bgp {af} unicast {s.ours} in")

    def shutdown(self, s, text):
        self.configure(f"router bgp {ASN}", f"neighbor {s.ours} shutdown message {text}")

    def enable(self, s):
        self.configure(f"router bgp {ASN}", f"no neighbor {s.ours} shutdown")

    def reset(self, s):
        self.vty(f"clear bgp {s.ours}")


def route_of(prefix, p):
    hops = [h["ip"] for h in p.get("nexthops", [])]
    glob = [h["ip"] for h in p.get("nexthops", []) if h.get("scope") != "link-local"]
    ext = p.get("extendedCommunity", {}).get("string", "").lower().split()
    return Route(prefix, [int(x) for x in p["aspath"]["string"].split() if x.isdigit()], (glob or hops or [""])[0],
                 p.get("localPreference", p.get("locPrf")), p.get("metric", p.get("med")),
                 communities(p.get("community", {}).get("string", "").split()), set(p.get("largeCommunity", {}).get("string", "").split()),
                 set(ext), p.get("originatorId"), p.get("clusterList", {}).get("list", []), p.get("otc"),
                 p.get("addpathRxId", p.get("addPath", {}).get("rx")), json.dumps(p))
