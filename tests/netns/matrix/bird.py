"""BIRD 2 (one process, both families) and BIRD 1.6 (a process per family), the line that Calico runs."""
import re
import shutil

from .peer import ASN, Daemon, Route, PEERS

ROLES = {"rs": "rs_server", "rs-client": "rs_client"}


def pairs(text):
    """"(65001,100) (65001,200)" as {"65001:100", "65001:200"}."""
    return {re.sub(r"\s*,\s*", ":", x) for x in re.findall(r"\(([^)]*)\)", text)}


def parse_routes(text):
    """{prefix: [Route]} of `show route ... all`."""
    table, prefix = {}, None
    for line in text.splitlines():
        if m := re.match(r"(\S+/\d+)?\s.*\[n\d+ ", line):
            prefix = m[1] or prefix
            table.setdefault(prefix, []).append(Route(prefix, [], ""))
        elif prefix:
            take(table[prefix][-1], line)
    return table


def take(route, line):
    route.text += line + "\n"
    m = re.match(r"\s*(?:BGP\.)(\w+):\s*(.*)$", line)
    if not m:
        return
    key, value = m[1], m[2].strip()
    if key == "as_path":
        route.as_path = [int(x) for x in re.findall(r"\d+", value)]
    elif key == "next_hop":
        route.next_hop = value.split()[0]
    elif key in ("local_pref", "med"):
        setattr(route, key, int(value))
    elif key == "community":
        route.communities = pairs(value)
    elif key == "large_community":
        route.large = pairs(value)
    elif key == "ext_community":
        route.ext = pairs(value)
    elif key == "originator_id":
        route.originator = value
    elif key == "cluster_list":
        route.clusters = value.split()
    elif key == "path_id":
        route.path_id = int(value)
    elif key == "otc":
        route.otc = int(value)


def filters(s):
    """What a static route carries, as statements of its filter."""
    for c in s.communities:
        yield f"bgp_community.add(({c.replace(':', ',')}));"
    for c in s.large:
        yield f"bgp_large_community.add(({c.replace(':', ',')}));"
    for c in s.ext:
        yield f"bgp_ext_community.add(({c.replace(':', ',')}));"
    if s.med:
        yield f"bgp_med = {s.med};"


class Bird2(Daemon):
    name, number = "bird2", 1
    title = "BIRD"
    program = shutil.which("bird") or "/usr/sbin/bird"
    client = shutil.which("birdc") or "/usr/sbin/birdc"
    version = "2.0.12"

    def birds(self):
        """(tag, families) of each process."""
        return [("bird", "46")]

    def start(self, restarted=False):
        for tag, _ in self.birds():
            self.write(tag)
            self.spawn(self.program_of(tag), "-f", "-c", self.dir / f"{tag}.conf", "-s", self.dir / f"{tag}.ctl", "-P",
                       self.dir / f"{tag}.pid", *(["-R"] if restarted else []))
        for tag, _ in self.birds():
            self.answers(lambda tag=tag: "BIRD" in self.control(tag, "show status"))

    def program_of(self, _tag):
        return self.program

    def write(self, tag):
        families = dict(self.birds())[tag]
        (self.dir / f"{tag}.conf").write_text(self.config(families))

    def config(self, families):
        parts = [f'router id 192.0.2.{self.number}; graceful restart wait 2;', f'log "{self.out.path}" all;', "debug protocols { states };",
                 "protocol device { }"]
        for af in families:
            parts.append(f"protocol static s{af} {{ ipv{af}; {self.static_routes(af)} }}")
        parts += [self.bgp(s, s.afs) for s in self.sessions]
        return "\n".join(parts) + "\n"

    def static_routes(self, af):
        return "\n".join(f"route {s.prefix} blackhole {{ {' '.join(filters(s))} }};" for s in self.statics if s.v6 == (af == "6"))

    def session_words(self, s):
        """What both lines of BIRD say in the same words."""
        yield f"local {s.theirs} as {s.local_asn or ASN};"
        yield f"neighbor {s.ours} as {s.asn};"
        yield f"direct; hold time {s.hold}; connect delay time 1; connect retry time 1; error wait time 1,2;"
        if s.passive:
            yield "passive on;"
        if s.password:
            yield f'password "{s.password}";'
        if s.gtsm:
            yield "ttl security on;"
        if s.client:
            yield "rr client;"
        if s.restart:
            yield f"graceful restart on; graceful restart time {s.restart};"
        else:
            yield "graceful restart off;"
        if s.llgr:
            yield f"long lived graceful restart on; long lived stale time {s.llgr};"

    def bgp(self, s, families):
        words = list(self.session_words(s))
        if s.ext_message:
            words.append("enable extended messages on;")
        if s.role:
            words.append(f"local role {ROLES.get(s.role, s.role)};")
        for af in families:
            channel = ["import all;", "export where source ~ [ RTS_STATIC, RTS_BGP ];"]
            if s.max_prefixes:
                channel.append(f"receive limit {s.max_prefixes} action disable;")
            if s.add_path:
                channel.append({"recv": "add paths rx;", "send": "add paths tx;"}[s.add_path])
            if s.ext_nexthop and af == "4":
                channel.append("extended next hop on;")
            words.append(f"ipv{af} {{ {' '.join(channel)} }};")
        return f"protocol bgp {s.name} {{\n\t" + "\n\t".join(words) + "\n}"

    def control(self, tag, *words):
        return self.ask(self.client, "-s", self.dir / f"{tag}.ctl", *" ".join(words).split())

    def tag(self, _s):
        return "bird"

    def bird(self, s, *words):
        return self.control(self.tag(s), *words)

    def routes(self, s):
        return parse_routes(self.bird(s, f"show route protocol {s.name} all"))

    def up(self, s):
        return "Established" in self.bird(s, f"show protocols {s.name}")

    def hold(self, s):
        return int(re.search(r"Hold timer: +[\d.]+/(\d+)", self.bird(s, f"show protocols all {s.name}"))[1])

    def changed(self, added=(), gone=()):
        for tag, _ in self.birds():
            self.write(tag)
            said = self.control(tag, "configure soft")
            assert "Reconfigured" in said or "in progress" in said, said

    def ask_refresh(self, s):
        self.bird(s, f"reload in {s.name}")

    def shutdown(self, s, text):
        self.ask(self.client, "-s", self.dir / f"{self.tag(s)}.ctl", "disable", s.name, f'"{text}"')

    def enable(self, s):
        self.bird(s, f"enable {s.name}")

    def reset(self, s):
        self.bird(s, f"restart {s.name}")


class Bird1(Bird2):
    name, number = "bird1", 2
    title = "BIRD"
    version = "1.6.8"

    program = str(PEERS / "usr/sbin/bird")

    def birds(self):
        return [("bird", "4"), ("bird6", "6")]

    def program_of(self, tag):
        return str(PEERS / "usr/sbin" / tag)

    def tag(self, s):
        return "bird6" if s.v6 else "bird"

    def control(self, tag, *words):
        return self.ask(PEERS / "usr/sbin" / tag.replace("bird", "birdc"), "-s", self.dir / f"{tag}.ctl", *" ".join(words).split())

    def config(self, families):
        parts = [f'router id 192.0.2.{self.number}; graceful restart wait 2;', f'log "{self.out.path}" all;', "debug protocols { states };",
                 "protocol device { }", f"protocol static s{families} {{ {self.static_routes(families)} }}"]
        parts += [self.bgp(s, families) for s in self.sessions if s.v6 == (families == "6")]
        return "\n".join(parts) + "\n"

    def bgp(self, s, families):
        words = [*self.session_words(s), "import all;", "export where source ~ [ RTS_STATIC, RTS_BGP ];"]
        if s.ext_message:
            words.append("enable extended messages on;")
        if s.max_prefixes:
            words.append(f"receive limit {s.max_prefixes} action disable;")
        if s.add_path:
            words.append({"recv": "add paths rx;", "send": "add paths tx;"}[s.add_path])
        return f"protocol bgp {s.name} {{\n\t" + "\n\t".join(words) + "\n}"
