"""ExaBGP: no routing table of its own. It announces what it is told, and says what it hears as lines of JSON, from which the tables
here are made."""
import json
import os
import re

from .net import address
from .peer import ASN, PEERS, Daemon, Route

HELPER = """#!/bin/sh
exec 3<&0
cat <&3 >>{dir}/events &
exec cat <>{dir}/commands
"""


class Exabgp(Daemon):
    name, number = "exabgp", 5
    title = "ExaBGP"
    program = str(PEERS / "usr/sbin/python3-exabgp")
    version = "4.2.21"
    has_rib = honours_no_export = guards_ttl = False
    sends_text = False
    answers_refresh = False     # see EXA_REFRESH in cells.py

    def start(self, restarted=False):
        self.events = self.dir / "events"
        self.events.write_text("")
        self.read_to, self.tables, self.states = 0, {}, {}
        self.generation = {}
        commands = self.dir / "commands"
        commands.unlink(missing_ok=True)
        os.mkfifo(commands)
        helper = self.dir / "helper"
        helper.write_text(HELPER.format(dir=self.dir))
        helper.chmod(0o755)
        conf = self.dir / "exabgp.conf"
        conf.write_text(self.config())
        env = dict(os.environ, PYTHONPATH=str(PEERS / "usr/lib/python3/dist-packages"), PYTHONDONTWRITEBYTECODE="1")
        env.update({"exabgp.daemon.user": "root", "exabgp.daemon.drop": "false",
                    "exabgp.log.destination": "stdout", "exabgp.log.all": "false",
                    "exabgp.tcp.port": "179", "exabgp.tcp.bind": " ".join(s.theirs for s in self.sessions),
                    "exabgp.api.cli": "false", "exabgp.api.ack": "false", "exabgp.reactor.speed": "0.1"})
        self.spawn("/usr/bin/python3", self.program, conf, env=env)
        self.answers(lambda: re.search(r"LISTEN.*:179", self.ask("ss", "-ltn")))

    def config(self):
        lines = [f"process events {{ run {self.dir}/helper; encoder json; }}"]
        for s in self.sessions:
            lines += [f"neighbor {s.ours} {{", *("\t" + x for x in self.neighbor(s)), "}"]
        return "\n".join(lines) + "\n"

    def neighbor(self, s):
        yield from (f"router-id 192.0.2.{self.number};", f"local-address {s.theirs};", f"local-as {s.local_asn or ASN};",
                    f"peer-as {s.asn};", f"hold-time {s.hold};", "adj-rib-out true; manual-eor false;")
        if s.passive:
            yield "passive true;"
        if s.password:
            yield f'md5-password "{s.password}"; md5-base64 false;'
        if s.gtsm:
            yield "outgoing-ttl 255; incoming-ttl 255;"
        yield "family { " + " ".join(f"ipv{af} unicast;" for af in s.afs) + " }"
        yield f"capability {{ {' '.join(self.capabilities(s))} }}"
        if s.ext_nexthop:
            yield "nexthop { ipv4 unicast ipv6; }"
        yield "api { processes [ events ]; neighbor-changes; receive { parsed; update; } }"
        for af in s.afs:
            routes = [f"unicast {x.prefix} {self.carries(x, s)};" for x in self.statics if x.v6 == (af == "6")]
            yield f"announce {{ ipv{af} {{ {' '.join(routes)} }} }}"

    def capabilities(self, s):
        yield "route-refresh enable; asn4 enable;"
        yield f"graceful-restart {s.restart};" if s.restart else "graceful-restart disable;"
        if s.add_path:
            yield {"recv": "add-path receive;", "send": "add-path send;"}[s.add_path]
        yield f"extended-message {'enable' if s.ext_message else 'disable'};"
        if s.ext_nexthop:
            yield "nexthop enable;"

    def carries(self, x, s):
        words = ["next-hop " + (s.theirs if s.ext_nexthop else address(s.number, s.n, 1, x.v6))]
        if x.communities:
            words.append(f"community [ {' '.join(x.communities)} ]")
        if x.large:
            words.append(f"large-community [ {' '.join(x.large)} ]")
        if x.ext:
            words.append("extended-community [ " + " ".join("target:" + c.split(":", 1)[1] for c in x.ext) + " ]")
        if x.med:
            words.append(f"med {x.med}")
        return " ".join(words)

    def tell(self, *lines):
        with (self.dir / "commands").open("w") as f:
            f.write("".join(f"{x}\n" for x in lines))

    def catch_up(self):
        with self.events.open() as f:
            f.seek(self.read_to)
            data = f.read()
        end = data.rfind("\n") + 1
        self.read_to += len(data[:end].encode())
        for line in data[:end].splitlines():
            if line.startswith("{"):
                self.hear(loads(line))

    def hear(self, e):
        n = e.get("neighbor", {})
        peer = n.get("address", {}).get("peer")
        if e["type"] == "state":
            self.states[peer] = n["state"]
            if n["state"] != "up":
                self.tables.pop(peer, None)
        elif e["type"] == "update":
            self.update(self.tables.setdefault(peer, {}), n["message"].get("update", {}))

    def update(self, table, u):
        for family in u.get("withdraw", {}).values():
            for x in family:
                table.pop(x["nlri"], None)
        for hops in u.get("announce", {}).values():
            for hop, family in hops.items():
                for x in family:
                    if isinstance(x, dict) and "nlri" in x:
                        self.keep(table, route_of(x, hop, u.get("attribute", {})))

    def keep(self, table, r):
        others = [o for o in table.get(r.prefix, []) if o.path_id != r.path_id]
        table[r.prefix] = others + [r]

    def routes(self, s):
        self.catch_up()
        return {k: list(v) for k, v in self.tables.get(s.ours, {}).items()}

    def up(self, s):
        self.catch_up()
        return self.states.get(s.ours) == "up"

    def changed(self, added=(), gone=()):
        lines = []
        for s in self.sessions:
            lines += [f"neighbor {s.ours} withdraw route {x.prefix} next-hop {s.theirs}" for x in gone if ("6" if x.v6 else "4") in s.afs]
            lines += [f"neighbor {s.ours} announce route {x.prefix} {self.carries(x, s)}" for x in added if ("6" if x.v6 else "4") in s.afs]
        self.tell(*lines)

    def shows(self, text):
        """It fails to decode texts, and says so."""
        return 'message of type \\"3\\"'

    def announce_paths(self, s, prefix, asns):
        """One prefix several times, each path with its own identifier and last AS."""
        self.tell(*(f"neighbor {s.ours} announce route {prefix} next-hop {s.theirs} as-path [ {ASN} {asn} ] path-information 0.0.0.{i + 1}"
                    for i, asn in enumerate(asns)))

    def heard(self, since=0):
        return self.out.text(since) + self.events.read_text()

    def ask_refresh(self, s):
        self.tell(*(f"neighbor {s.ours} announce route-refresh ipv{af} unicast" for af in s.afs))

    def shutdown(self, s, text):
        self.tell(f"neighbor {s.ours} teardown 2")

    def enable(self, s):
        pass

    def reset(self, s):
        self.tell(f"neighbor {s.ours} teardown 4")


def loads(line):
    """Its lines about what it failed at are not always JSON; of these only who and what is taken."""
    try:
        return json.loads(line, strict=False)
    except json.JSONDecodeError:
        words = dict(re.findall(r'"(type|peer|state)" ?: "([^"]*)"', line))
        return {"type": words.get("type"), "neighbor": {"address": {"peer": words.get("peer")}, "state": words.get("state")}}


def route_of(x, hop, a):
    path = a.get("as-path", [])
    path = [n for seg in path.values() for n in seg["value"]] if isinstance(path, dict) else path
    r = Route(x["nlri"], [int(n) for n in path], hop, a.get("local-preference"), a.get("med"), text=json.dumps([x, a]))
    r.communities = {":".join(map(str, c)) for c in a.get("community", [])}
    r.large = {":".join(map(str, c)) for c in a.get("large-community", [])}
    r.ext = {c["string"].replace("target", "rt") for c in a.get("extended-community", [])}
    r.originator, r.clusters = a.get("originator-id"), a.get("cluster-list", [])
    r.path_id = x.get("path-information")
    return r
