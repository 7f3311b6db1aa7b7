"""What the cases share: programs, network namespaces, processes, meshes of koratd or BIRD, and taking all of it away again.

Everything lives in namespaces prefixed korat-b- and in one temporary directory. Only processes started here are ended; what a killed
run left in such namespaces is ended by the next run, which holds the lock that says nobody else is running.
"""
import atexit
import contextlib
import ctypes
import fcntl
import json
import math
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from resource import RLIMIT_NOFILE, getrlimit, setrlimit

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = TOP / "build-bench"
PREFIX = "korat-b-"
PEERS = {"bird2": "BIRD 2", "containernetworking-plugins": "ptp + host-local"}


class Failed(Exception):
    """One sentence for the user."""


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run(*cmd, **kw):
    r = subprocess.run([str(c) for c in cmd], capture_output=True, text=True, **kw)
    if r.returncode:
        raise Failed(f"{' '.join(str(c) for c in cmd)}: {r.stderr.strip() or r.stdout.strip() or 'exit code ' + str(r.returncode)}")
    return r.stdout


def ip_batch(lines, netns=None):
    where = ["-n", netns] if netns else []
    run("ip", *where, "-batch", "-", input="\n".join(lines) + "\n")


def wait_for(what, probe, seconds=30, every=0.02):
    end = time.monotonic() + seconds
    while not (value := probe()):
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s in vain for {what}")
        time.sleep(every)
    return value


def median(values):
    return statistics.median(values)


def percentile(values, p):
    """Nearest rank: a value that was seen."""
    return sorted(values)[max(0, math.ceil(len(values) * p / 100) - 1)]


def package_version(name):
    return run("dpkg-query", "-W", "-f", "${Version}", name)


def busy_percent(seconds=1):
    """How busy the processors are with other things, before anything is measured."""
    def read():
        v = [int(x) for x in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(v), v[3] + v[4]
    total, idle = read()
    time.sleep(seconds)
    total2, idle2 = read()
    return round(100 - 100 * (idle2 - idle) / max(1, total2 - total))


# ---- what a process has taken ----

def rollup(pid):
    """kB of memory: resident, anonymous, and its share of what it shares."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    fields = {"rss": "Rss", "anonymous": "Anonymous", "pss": "Pss"}
    return {name: int(re.search(rf"^{field}:\s+(\d+) kB", text, re.M)[1]) for name, field in fields.items()}


def peak_rss(pid):
    """kB"""
    return int(re.search(r"^VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def cpu_seconds(pid):
    """Of all its threads, exact."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


class Foreign:
    """How busy the machine was with other things while this was watched: all work but what is counted by add()."""

    def __init__(self):
        self.known = 0.0
        self.began, self.at, self.own = self._busy(), time.monotonic(), sum(os.times()[:2])

    @staticmethod
    def _busy():
        """Without interrupts: those are mostly ours, and nobody's processor time."""
        v = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()
        return sum(int(v[i]) for i in (1, 2, 3)) / os.sysconf("SC_CLK_TCK")

    def add(self, cpu):
        self.known += cpu

    def percent(self):
        """Of all processors."""
        wall = (time.monotonic() - self.at) * os.cpu_count()
        known = self.known + sum(os.times()[:2]) - self.own
        return max(0.0, 100 * (self._busy() - self.began - known) / wall)


# ---- programs ----

def build():
    say("packages and release build (build-bench)")
    run(TOP / "tools/packages", "build", "bench")
    run(TOP / "tools/build", "build-bench", "-Dbuildtype=release")
    for name, libs in ("cnirun", []), ("rtwatch", ["-lmnl"]), ("bare", ["-lmnl"]), ("blast", []), ("herd", ["-lmnl"]):
        src, out = TOP / f"bench/{name}.c", BUILD / f"bench-{name}"
        newest = max(src.stat().st_mtime, (TOP / "bench/kit.h").stat().st_mtime)
        if not out.exists() or out.stat().st_mtime < newest:
            run("gcc", "-O2", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-o", out, src, *libs)


def which(program):
    path = shutil.which(str(program), path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise Failed(f"{program} is not installed")
    return path


def unpacked(package):
    """A Debian package that cannot be installed beside its rival, unpacked under build-bench; the directory it is in."""
    path = BUILD / "peers" / package
    if not path.exists():
        say(f"{package}: downloading and unpacking, not installing")
        debs = path.with_suffix(".deb.d")
        debs.mkdir(parents=True, exist_ok=True)
        try:
            run("apt-get", "download", package, cwd=debs)
        except Failed:
            run("apt-get", "update")
            run("apt-get", "download", package, cwd=debs)
        (deb,) = debs.glob("*.deb")
        (debs / "version").write_text(deb.name.split("_")[1])
        run("dpkg", "-x", deb, path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)
    return path


def unpacked_version(package):
    return (unpacked(package).with_suffix(".deb.d") / "version").read_text()


# ---- results ----

def number(v):
    if v is None:
        return "-"
    return f"{v:.0f}" if v >= 1000 else f"{v:.3g}"


def row_of(values):
    row = dict(zip(("bench", "case", "metric", "unit", "korat", "peer", "peer_value"), values))
    row["ratio"] = round(row["korat"] / row["peer_value"], 3) if row["korat"] is not None and row["peer_value"] else None
    for key in "korat", "peer_value":
        row[key] = round(row[key], 4) if row[key] is not None else None
    return row


_notes = []


def note(text):
    """Something to say below the table."""
    say(text)
    _notes.append(text)


def notes():
    return list(_notes)


def foreign_row(bench, case, shares):
    """How much of the machine others took while it was measured: a figure for everybody, not Korat's."""
    return bench, case, "others took of the machine, at most", "%", max(shares, default=None), None, None


def print_table(table, right):
    """The first line is the head; right: the columns that are numbers."""
    width = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        print("  ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(line, width))).rstrip())


# ---- one bench at a time, and nothing left of it ----

_made = {"procs": [], "netns": set(), "mounts": [], "sysctls": {}, "dir": None, "lock": None}
_libc = ctypes.CDLL(None, use_errno=True)


def _with_parent():
    """In the child: ends with the bench, should that be killed; may have a descriptor for each of thousands of sessions."""
    _libc.prctl(1, signal.SIGTERM)
    hard = getrlimit(RLIMIT_NOFILE)[1]
    setrlimit(RLIMIT_NOFILE, (hard, hard))


def processes_in(netns):
    """Pids of the processes inside a namespace, by the namespace itself."""
    with contextlib.suppress(OSError):
        ino = os.stat(f"/run/netns/{netns}").st_ino
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{pid}/ns/net").st_ino == ino and int(pid) != os.getpid():
                    yield int(pid)


def _remove_netns(names):
    for name in names:
        deadline = time.monotonic() + 5
        while pids := list(processes_in(name)):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if time.monotonic() > deadline - 3 else signal.SIGTERM)
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
        _made["netns"].discard(name)


def remove_netns(names):
    """Namespaces, and whatever still runs inside."""
    _remove_netns([PREFIX + n for n in names])


def end_all_in(netns):
    """Ends at once what runs inside a namespace of ours: its work is done and its farewell would only take time."""
    while pids := list(processes_in(netns)):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for p in [p for p in _made["procs"] if p.pid in pids]:
            p.wait()
            _made["procs"].remove(p)
        time.sleep(0.01)


def clean():
    stop(*_made["procs"])
    _remove_netns(sorted(_made["netns"]))
    for path in _made["mounts"]:
        subprocess.run(["umount", "-l", path], capture_output=True)
    for name, value in _made["sysctls"].items():
        pathlib.Path("/proc/sys", name).write_text(value)
    _made["sysctls"] = {}
    _remember_sysctls()
    if _made["dir"]:
        shutil.rmtree(_made["dir"], ignore_errors=True)
    _made.update(mounts=[], dir=None)


def _remember_sysctls():
    """In the lock's file: a run that is killed leaves to the next what to put back."""
    os.ftruncate(_made["lock"].fileno(), 0)
    os.pwrite(_made["lock"].fileno(), json.dumps(_made["sysctls"]).encode(), 0)


def _clean_after_killed():
    _remove_netns([n.split()[0] for n in run("ip", "netns", "list").splitlines() if n.startswith(PREFIX)])
    for path in pathlib.Path("/var/tmp").glob("korat-bench-*"):
        subprocess.run(["umount", "-l", path / "memory"], capture_output=True)
        shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(ValueError):
        for name, value in json.load(_made["lock"]).items():
            pathlib.Path("/proc/sys", name).write_text(value)


def begin():
    """Takes the lock, removes what a killed run left, and makes the temporary directory."""
    _made["lock"] = open("/run/korat-bench.lock", "a+")
    _made["lock"].seek(0)
    try:
        fcntl.flock(_made["lock"], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Failed("another bench/run is under way; two at once would measure each other") from None
    _clean_after_killed()
    # Not /tmp: that may be memory, and the datastore's fsync shall be a real one.
    _made["dir"] = pathlib.Path(tempfile.mkdtemp(prefix="korat-bench-", dir="/var/tmp"))
    _made["dir"].chmod(0o755)
    atexit.register(clean)
    for signo in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
        signal.signal(signo, lambda s, f: sys.exit(128 + s))


def directory(name):
    path = _made["dir"] / name
    path.mkdir(exist_ok=True)
    return path


def memory_directory(name):
    """A directory in memory: fsync costs nothing there."""
    path = directory(name)
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", path)
    _made["mounts"].append(str(path))
    return path


def raise_sysctl(name, least):
    path = pathlib.Path("/proc/sys", name)
    old = path.read_text()
    if int(old) < least:
        _made["sysctls"].setdefault(name, old)
        _remember_sysctls()
        path.write_text(str(least))


def add_netns(names):
    names = [PREFIX + n for n in names]
    _made["netns"].update(names)
    ip_batch([f"netns add {n}" for n in names])
    return names


def del_netns(names):
    _made["netns"].difference_update(names)
    ip_batch([f"netns del {n}" for n in names])


def start(netns, *cmd, **kw):
    """A process inside a namespace."""
    inside = ["nsenter", f"--net=/run/netns/{netns}", "--"] if netns else []
    p = subprocess.Popen([*inside, *map(str, cmd)], preexec_fn=_with_parent, **kw)
    _made["procs"].append(p)
    return p


def stop(*procs):
    procs = list(procs)
    for p in procs:
        if p.poll() is None:
            p.terminate()
    for p in procs:
        try:
            p.wait(timeout=5)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
        if p in _made["procs"]:
            _made["procs"].remove(p)


# ---- nodes: namespaces on one bridge ----

def node_address(i):
    return f"172.31.{i // 200}.{i % 200 + 10}"


def node_network(tag, n):
    """n namespaces on one Ethernet segment; their names."""
    bridge, *nodes = add_netns([f"{tag}-br"] + [f"{tag}-{i}" for i in range(n)])
    # A cable, and nothing that looks into packets (where a bridge's packets go through the firewall).
    run("nsenter", f"--net=/run/netns/{bridge}", "--", "sh", "-c",
        "for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $f ] || echo 0 >$f; done")
    ip_batch(["link add br0 type bridge", "link set br0 up"]
             + [line for i in range(n) for line in (f"link add p{i} type veth peer name eth0 netns {nodes[i]}", f"link set p{i} master br0 up")], bridge)
    for i, node in enumerate(nodes):
        ip_batch(["link set lo up", f"addr add {node_address(i)}/20 dev eth0", "link set eth0 up"], node)
        run("nsenter", f"--net=/run/netns/{node}", "--", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    # Neighbours of all namespaces count together; the stock limit would leave sessions of large meshes stuck.
    for k, least in ("1", 16384), ("2", 32768), ("3", 65536):
        if n * (n - 1) > 500:
            raise_sysctl(f"net/ipv4/neigh/default/gc_thresh{k}", least)
    # A broadcast is a packet for each of them, all in one processor's queue: what does not fit would be asked again after a second.
    raise_sysctl("net/core/netdev_max_backlog", 100 * n)
    return nodes


def remove_node_network(nodes):
    _remove_netns(nodes + [nodes[0].rsplit("-", 1)[0] + "-br"])


def routes(netns):
    return run("ip", "-4", "-n", netns, "route").splitlines()


# ---- Korat ----

def resource(kind, name, spec):
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": name}, "spec": spec}


class Korat:
    """A koratd (parent, agent, speaker) in each of n nodes, on one SQLite file."""

    def __init__(self, tag, n, store_dir=None, pool="10.8.0.0/14", nodes=None):
        self.dir = directory(tag)
        self.nodes = nodes or node_network(tag, n)
        self.store = (store_dir or self.dir) / "store.db"
        self.names = [f"node{i + 1}" for i in range(n)]
        self._fill(pool)
        self.start()

    def command(self, i):
        return [BUILD / "koratd", "--node", self.names[i], "--datastore", f"sqlite:{self.store}", "--run-dir", self._run_dir(i),
                "--log-level", "warn"]

    def log(self, i):
        return self.dir / f"{self.names[i]}.log"

    def start(self):
        self.procs = []
        for i, node in enumerate(self.nodes):
            with open(self.log(i), "w") as log:
                self.procs.append(start(node, *self.command(i), stdout=log, stderr=log))
        for i in range(len(self.nodes)):
            wait_for(f"koratd of {self.names[i]} (its log: {self.log(i)})", lambda: self._ready(i), 60)

    def stop(self):
        stop(*self.procs)

    def _run_dir(self, i):
        path = self.dir / self.names[i]
        path.mkdir(exist_ok=True)
        return path

    def _fill(self, pool):
        """koratd makes the file, `korat apply` fills it."""
        maker = start(self.nodes[0], BUILD / "koratd", "agent", "--node", "maker", "--datastore", f"sqlite:{self.store}",
                      "--run-dir", self._run_dir(0), "--log-level", "error", stderr=subprocess.DEVNULL)
        wait_for("a new datastore", lambda: self.store.exists() or maker.poll() is not None)
        if not self.store.exists():
            raise Failed(f"koratd agent made no datastore; try {BUILD / 'koratd'} agent by hand")
        stop(maker)
        docs = [resource("IPPool", "bench", {"cidr": pool, "blockSize": 26, "natOutgoing": False}),
                resource("BGPConfiguration", "default", {"nodeToNodeMeshEnabled": True, "asNumber": 64512})]
        docs += [resource("Node", name, {"bgp": {"ipv4Address": f"{node_address(i)}/20"}}) for i, name in enumerate(self.names)]
        run(BUILD / "korat", "apply", "--datastore", f"sqlite:{self.store}", "-f", "-",
            input="\n---\n".join(json.dumps(d) for d in docs))

    def status(self, i):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(str(self._run_dir(i) / "agent.sock"))
            s.sendall(b'{"method":"status","params":{}}\n')
            data = b""
            while not data.endswith(b"\n") and (more := s.recv(65536)):
                data += more
        return json.loads(data)["result"]

    def _ready(self, i):
        if self.procs[i].poll() is not None:
            raise Failed(f"koratd of {self.names[i]} ended: {self.log(i).read_text().strip()}")
        try:
            return self.status(i).get("ready")
        except (OSError, ValueError, KeyError):
            return False

    def children(self, i, parent=None):
        """{"parent": pid, "agent": pid, "speaker": pid}"""
        parent = parent or self.procs[i].pid
        pids = {"parent": parent}
        for pid in processes_in(self.nodes[i]):
            with contextlib.suppress(OSError):
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                if int(fields[1]) == parent:
                    root = "\nUid:\t0\t" in status
                    pids["agent" if root else "speaker"] = pid
        if len(pids) != 3:
            raise Failed(f"koratd of {self.names[i]} has not exactly an agent and a speaker")
        return pids

    def conf(self, i):
        path = self._run_dir(i) / "cni.conf"
        path.write_text(json.dumps({"cniVersion": "1.0.0", "name": "bench", "type": "korat-cni", "ipam": {"type": "calico-ipam"},
                                    "agent_socket": str(self._run_dir(i) / "agent.sock")}))
        return path

    def call(self, label, i, verb, pod, netns, args=""):
        """A line for cnirun."""
        return (label, self.nodes[i], BUILD / "korat-cni", self.conf(i), BUILD, verb, pod, netns, "IgnoreUnknown=1" + args)

    def end(self):
        stop(*self.procs)
        remove_node_network(self.nodes)


def container_id(tag, k):
    """As long as a runtime's; differs in its first 11 characters, which name the host's interface, and ends with the number."""
    return f"{k:06x}{tag:0<5.5}" + "0" * 47 + f"{k:06d}"


class Plugins:
    """cnirun, kept running: its start is not part of anything."""

    def __init__(self):
        self.p = start(None, BUILD / "bench-cnirun", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, fields):
        """Nanoseconds the call took, and when it began."""
        self.p.stdin.write("\t".join(map(str, fields)) + "\n")
        self.p.stdin.flush()
        answer = self.p.stdout.readline().rstrip("\n").split("\t")
        if len(answer) < 7:
            raise Failed("cnirun ended")
        if answer[3] != "0":
            raise Failed(f"{answer[0]} {answer[1]}: {answer[6][:600]}")
        return int(answer[4]), int(answer[5])

    def end(self):
        stop(self.p)


# ---- BIRD, configured as Calico configures it (its confd template): block routes static, kernel learn, one session a pair ----

class Bird:
    program = "bird"
    kernel = "learn; persist; scan time 2; graceful restart; merge paths on; metric 0; ipv4 { import all; export filter calico_kernel_programming; };"
    static = "ipv4;"
    direct = "ipv4;"
    channel = "ipv4 { gateway recursive; add paths on; import all; export filter calico_export_to_bgp_peers; };"

    def __init__(self, tag, n, extra=None, nodes=None):
        self.dir = directory(tag)
        self.nodes = nodes or node_network(tag, n)
        self.extra = f"  if ( net ~ {extra} ) then {{ accept; }}\n" if extra else ""
        for i in range(n):
            self._conf(i).write_text(self._text(i, n))

    def _conf(self, i):
        return self.dir / f"{i}.conf"

    def log(self, i):
        return self.dir / f"{i}.err"

    def command(self, i):
        return [self.program, "-f", "-c", self._conf(i), "-s", self.dir / f"{i}.ctl", "-P", self.dir / f"{i}.pid"]

    def start(self):
        self.procs = []
        for i, node in enumerate(self.nodes):
            with open(self.log(i), "w") as log:
                self.procs.append(start(node, *self.command(i), stdout=log, stderr=log))
        for i, node in enumerate(self.nodes):
            wait_for(f"the routes of BIRD {i}",
                     lambda: sum("proto bird" in r and " via " in r for r in routes(node)) == len(self.nodes) - 1, 120)
        return self

    @staticmethod
    def block(i):
        return f"10.8.{i // 4}.{i % 4 * 64}/26"

    def _text(self, i, n):
        mine = self.block(i)
        # The numerically smaller address waits, as in Calico's mesh.
        peers = "".join(f"protocol bgp Mesh_{j} from bgp_template {{ neighbor {node_address(j)} as 64512; source address {node_address(i)}; "
                        f"{'passive on; ' if i < j else ''}}}\n" for j in range(n) if j != i)
        return f"""log "{self.dir}/{i}.log" {{ warning, error, fatal, bug }};
router id {node_address(i)};
protocol static {{ {self.static} route {mine} blackhole; }}
filter calico_export_to_bgp_peers {{
  if ( net = {mine} ) then {{ accept; }}
  if ( net ~ {mine} ) then {{ reject; }}
{self.extra}  reject;
}}
filter calico_kernel_programming {{ if source = RTS_DEVICE then reject; accept; }}
protocol kernel {{ {self.kernel} }}
protocol device {{ scan time 2; }}
protocol direct {{ {self.direct} interface -"cali*", "*"; }}
template bgp bgp_template {{
  local as 64512; multihop; ttl security off; graceful restart;
  connect delay time 2; connect retry time 5; error wait time 5,30;
  {self.channel}
}}
{peers}"""

    def end(self):
        stop(*self.procs)
        remove_node_network(self.nodes)


class Bird1(Bird):
    """BIRD 1.6, of which Calico has its own fork: no channels yet."""
    kernel = "learn; persist; scan time 2; graceful restart; merge paths on; import all; export filter calico_kernel_programming;"
    static = direct = ""
    channel = "gateway recursive; add paths on; import all; export filter calico_export_to_bgp_peers;"

    def __init__(self, *args, **kw):
        self.program = unpacked("bird") / "usr/sbin/bird"
        super().__init__(*args, **kw)
