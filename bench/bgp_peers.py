"""The speakers under test, each in one network namespace: configured to take any number of sessions from 10.10.0.0/16, to believe
everything and to hand everything on, and to leave the kernel alone.

A speaker has a name, a label for its version, start(site) and pids(). Whoever cannot be installed beside its rival is unpacked and run
from there (BIRD 1.6 beside BIRD 2, OpenBGPD).
"""
import pathlib
import subprocess

import kit

ME, ASN, CLIENTS = "10.9.0.2", 65000, "10.10.0.0/16"


def client_address(i):
    """As blast counts them, from 10.10.0.1 on."""
    return f"10.10.{(i + 1) // 256}.{(i + 1) % 256}"


class Speaker:
    """plan: what blast will do; site: the namespaces. Subclasses say how they are configured and started."""

    def __init__(self, plan, site):
        self.plan, self.site = plan, site
        self.dir = kit.directory(f"bgp-{site.number}")
        self.dir.chmod(0o777)
        self.launch()

    def begin(self, *cmd, **kw):
        with open(self.dir / "log", "a") as log:
            self.proc = kit.start(self.site.speaker, *cmd, **{"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL, **kw})

    def file(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return path

    def pids(self):
        return list(kit.processes_in(self.site.speaker))

    def client_asn(self, i):
        return ASN if self.plan.ibgp else self.plan.asn + i

    def check(self):
        if self.proc.poll() is not None:
            raise kit.Failed(f"{self.name} ended: {(self.dir / 'log').read_text().strip()[-600:]}")


class Korat(Speaker):
    """The speaker and, in place of the agent, a program that reads all its news: tests/netns/speaker_drive."""
    name = "Korat"

    @staticmethod
    def version():
        return "this tree"

    def launch(self):
        client = " client" if self.plan.ibgp else ""
        lines = ["quiet", "reachable", f"config {ASN} {ME} cluster {ME}"]
        lines += [f"peer {client_address(i)} {self.client_asn(i)} passive local {ME}{client}" for i in range(self.plan.sessions)]
        lines += ["listen 179", "stated"]
        self.begin(kit.BUILD / "tests/netns/speaker_drive", self.dir / "socket", stdin=subprocess.PIPE, text=True)
        self.proc.stdin.write("\n".join(lines) + "\n")
        self.proc.stdin.flush()

    def pids(self):
        """Without the one that plays the agent."""
        return [pid for pid in super().pids() if pid != self.proc.pid]

    def helper_pids(self):
        return [self.proc.pid]


class Bird2(Speaker):
    name = "BIRD 2"

    @staticmethod
    def version():
        return "bird2 " + kit.package_version("bird2")

    def launch(self):
        ibgp = self.plan.ibgp
        conf = self.file("conf", f"""log "{self.dir}/log" {{ warning, error, fatal, bug }};
router id {ME};
protocol device {{ }}
protocol static {{ ipv4; route {CLIENTS} via 10.9.0.1; }}
protocol bgp clients {{
  local {ME} as {ASN}; neighbor range {CLIENTS} {"internal" if ibgp else "external"}; multihop; hold time 240;
  {f"rr client; rr cluster id {ME};" if ibgp else ""}
  ipv4 {{ import all; export where source = RTS_BGP; }};
}}
""")
        self.begin("bird", "-f", "-c", conf, "-s", self.dir / "ctl", "-P", self.dir / "pid")


class Bird1(Speaker):
    name = "BIRD 1.6"

    @staticmethod
    def version():
        return f"bird {kit.unpacked_version('bird')} (unpacked, as it cannot be installed beside bird2)"

    def launch(self):
        """It has no dynamic neighbours: one protocol each."""
        peers = "".join(f"protocol bgp c{i} from visitor {{ neighbor {client_address(i)} as {self.client_asn(i)}; }}\n"
                        for i in range(self.plan.sessions))
        conf = self.file("conf", f"""log "{self.dir}/log" {{ warning, error, fatal, bug }};
router id {ME};
protocol device {{ }}
protocol static {{ route {CLIENTS} via 10.9.0.1; }}
template bgp visitor {{
  local as {ASN}; source address {ME}; passive on; multihop; hold time 240;
  {f"rr client; rr cluster id {ME};" if self.plan.ibgp else ""}
  import all; export where source = RTS_BGP;
}}
{peers}""")
        self.begin(kit.unpacked("bird") / "usr/sbin/bird", "-f", "-c", conf, "-s", self.dir / "ctl", "-P", self.dir / "pid")


class Frr(Speaker):
    name = "FRR"

    @staticmethod
    def version():
        return "frr " + kit.package_version("frr")

    def launch(self):
        ibgp = self.plan.ibgp
        conf = self.file("conf", f"""hostname d
log file {self.dir}/log warnings
router bgp {ASN}
 bgp router-id {ME}
 no bgp ebgp-requires-policy
 no bgp network import-check
 bgp listen limit {max(100, self.plan.sessions)}
 neighbor C peer-group
 neighbor C remote-as {ASN if ibgp else "external"}
 neighbor C advertisement-interval 0
 {"" if ibgp else "neighbor C ebgp-multihop 10"}
 neighbor C disable-connected-check
 neighbor C timers 80 240
 bgp listen range {CLIENTS} peer-group C
 address-family ipv4 unicast
  neighbor C activate
  {"neighbor C route-reflector-client" if ibgp else ""}
 exit-address-family
""")
        self.begin("/usr/lib/frr/bgpd", "-u", "frr", "-g", "frr", "-f", conf, "-Z", "-n", "-i", self.dir / "pid", "--vty_socket", self.dir,
                   "-A", "127.0.0.1", "-P", "0")


class Gobgp(Speaker):
    name = "GoBGP"

    @staticmethod
    def version():
        return "gobgpd " + kit.package_version("gobgpd")

    def launch(self):
        ibgp = self.plan.ibgp
        conf = self.file("conf", f"""[global.config]
  as = {ASN}
  router-id = "{ME}"
[[peer-groups]]
  [peer-groups.config]
    peer-group-name = "C"
    {f"peer-as = {ASN}" if ibgp else ""}
  [peer-groups.timers.config]
    hold-time = 240
  [peer-groups.ebgp-multihop.config]
    enabled = {"false" if ibgp else "true"}
    multihop-ttl = 10
  [peer-groups.route-reflector.config]
    route-reflector-client = {"true" if ibgp else "false"}
    {f'route-reflector-cluster-id = "{ME}"' if ibgp else ""}
  [[peer-groups.afi-safis]]
    [peer-groups.afi-safis.config]
      afi-safi-name = "ipv4-unicast"
[[dynamic-neighbors]]
  [dynamic-neighbors.config]
    prefix = "{CLIENTS}"
    peer-group = "C"
""")
        self.begin("gobgpd", "-f", conf, "-t", "toml", "-l", "warn", "--pprof-disable", "--api-hosts", "127.0.0.1:50051")


class Openbgpd(Speaker):
    """Its user exists only for its own processes: /etc/passwd is covered in a mount namespace of theirs."""
    name = "OpenBGPD"

    @staticmethod
    def version():
        return f"openbgpd {kit.unpacked_version('openbgpd')} (unpacked)"

    def launch(self):
        ibgp = self.plan.ibgp
        conf = self.file("conf", f"""AS {ASN}
router-id {ME}
listen on {ME}
socket "{self.dir}/ctl"
fib-update no
neighbor {CLIENTS} {{
  {f"remote-as {ASN}" if ibgp else "enforce neighbor-as no"}
  {f"route-reflector {ME}" if ibgp else "multihop 10"}
  descr "client"
  holdtime 240
  announce IPv4 unicast
}}
allow from any
allow to any
""")
        conf.chmod(0o600)
        home = kit.directory("empty")
        users = pathlib.Path("/etc/passwd").read_text() + f"_openbgpd:x:64999:64999::{home}:/usr/sbin/nologin\n"
        covers = [(self.file("passwd", users), "/etc/passwd"),
                  (self.file("group", pathlib.Path("/etc/group").read_text() + "_openbgpd:x:64999:\n"), "/etc/group")]
        script = " && ".join(f"mount --bind {a} {b}" for a, b in covers)
        self.begin("unshare", "--mount", "sh", "-c", f"{script} && exec {kit.unpacked('openbgpd')}/usr/sbin/bgpd -d -f {conf}")


ALL = [Korat, Bird2, Bird1, Frr, Gobgp, Openbgpd]
