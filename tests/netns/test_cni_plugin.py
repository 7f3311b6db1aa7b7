"""korat-cni as a container runtime sees it, against an agent that this test plays.

The agent here is a socket that records what arrives and answers what the test wants, so that every answer, delay and
hang-up can be had; the namespaces are real.
"""
import array
import fcntl
import itertools
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUGIN = pathlib.Path(os.environ.get("KORAT_BUILD", ROOT / "build")).absolute() / "korat-cni"
PREFIX = f"korat-t-cni-{os.getpid()}"
SIOCGSKNS = 0x894C  # the namespace of a socket, as a descriptor

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes network namespaces"),
    pytest.mark.skipif(not PLUGIN.exists(), reason=f"{PLUGIN} is not built"),
]

RESULT = {
    "hostInterface": "cali459253b413d",
    "mac": "9e:41:0c:aa:bb:cc",
    "mtu": 0,
    "addresses": ["10.8.112.2/32"],
    "routes": [{"dst": "10.8.112.2/26"}],
    "sysctls": [],
}


def sh(*args):
    return subprocess.run(args, check=True, capture_output=True, text=True).stdout


def short(value):
    """A test's name for a value that may be megabytes long."""
    return ascii(value)[:40]


counter = itertools.count()


@pytest.fixture
def ns():
    """A pod's namespace with interfaces that no other namespace has."""
    name = f"{PREFIX}-{next(counter)}"
    sh("ip", "netns", "add", name)
    try:
        sh("ip", "-n", name, "link", "add", "pod-mark", "type", "veth", "peer", "pod-peer")
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def ns_path(name):
    return f"/run/netns/{name}"


class Agent:
    """Answers every call with `answer` (an object, raw bytes, or a function of the request)."""

    def __init__(self, path):
        self.path = str(path)
        self.answer = {"result": RESULT}
        self.calls = []  # (request, descriptors as told by look_at())
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.arrived = threading.Event()
        self.hung_up = threading.Event()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(self.path)
        self.sock.listen(128)
        threading.Thread(target=self.run, daemon=True).start()

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def run(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    @staticmethod
    def receive(conn):
        data, fds = b"", []
        while not data.endswith(b"\n"):
            part, ancillary, _, _ = conn.recvmsg(65536, socket.CMSG_SPACE(16 * 4))
            if not part:
                break
            data += part
            for level, kind, payload in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    a = array.array("i")
                    a.frombytes(payload[: len(payload) // a.itemsize * a.itemsize])
                    fds += a
        return data, fds

    def serve(self, conn):
        data, fds = self.receive(conn)
        request = json.loads(data)
        self.calls.append((request, look_at(fds)))
        for fd in fds:
            os.close(fd)
        self.arrived.set()
        while not self.may_answer.wait(0.01):
            if conn_gone(conn):
                self.hung_up.set()
                break
        answer = self.answer(request) if callable(self.answer) else self.answer
        if answer is not None:
            raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode() + b"\n"
            try:
                conn.sendall(raw)
            except OSError:
                pass
        conn.close()


def conn_gone(conn):
    try:
        return conn.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def interfaces_seen_by(nl):
    """Names of all interfaces, asked for over the rtnetlink socket itself."""
    RTM_NEWLINK, RTM_GETLINK, NLMSG_DONE, IFLA_IFNAME = 16, 18, 3, 3
    nl.send(struct.pack("=IHHII", 32, RTM_GETLINK, 0x301, 1, 0) + bytes(16))
    names = []
    while True:
        data = nl.recv(1 << 16)
        while data:
            length, kind = struct.unpack_from("=IH", data)
            if kind == NLMSG_DONE:
                return names
            attrs = data[32:length] if kind == RTM_NEWLINK else b""
            while len(attrs) >= 4:
                n, t = struct.unpack_from("=HH", attrs)
                if t == IFLA_IFNAME:
                    names.append(attrs[4:n].rstrip(b"\0").decode())
                attrs = attrs[(n + 3) & ~3 :]
            data = data[(length + 3) & ~3 :]


def look_at(fds):
    """What the descriptors are, while they are open."""
    seen = []
    for fd in fds:
        link = os.readlink(f"/proc/self/fd/{fd}")
        if link.startswith("net:") or "/netns/" in link:
            seen.append({"what": "ns", "ino": os.fstat(fd).st_ino})
            continue
        with socket.socket(fileno=os.dup(fd)) as s:
            ns_fd = fcntl.ioctl(s, SIOCGSKNS)
            seen.append({
                "what": "socket", "family": s.family, "proto": s.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL),
                "name": s.getsockname(), "ino": os.fstat(ns_fd).st_ino, "interfaces": interfaces_seen_by(s),
            })
            os.close(ns_fd)
    return seen


@pytest.fixture
def agent(tmp_path):
    a = Agent(tmp_path / "a.sock")
    yield a
    a.may_answer.set()
    a.close()


def conf(socket_path, version="1.0.0", **more):
    return {"cniVersion": version, "name": "net1", "type": "korat-cni", "agent_socket": str(socket_path), **more}


def env_of(command, netns, **more):
    env = {"CNI_COMMAND": command, "CNI_CONTAINERID": "c0ffee", "CNI_NETNS": netns, "CNI_IFNAME": "eth0",
           "CNI_PATH": "/opt/cni/bin", "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=nginx"}
    env.update(more)
    return {k: v for k, v in env.items() if v is not None}


def run(command, netns, stdin, timeout=15, **env):
    data = stdin if isinstance(stdin, (bytes, type(None))) else json.dumps(stdin).encode()
    p = subprocess.run([PLUGIN], input=data, env=env_of(command, netns, **env), capture_output=True, timeout=timeout)
    return p


def refused(p, code, *words):
    """Exit status 1 and exactly the specification's error object on standard output."""
    assert p.returncode == 1, (p.returncode, p.stdout, p.stderr)
    e = json.loads(p.stdout)
    assert list(e) in (["cniVersion", "code", "msg"], ["cniVersion", "code", "msg", "details"])
    assert e["code"] == code, e
    for w in words:
        assert w in e["msg"] + e.get("details", ""), (w, e)
    assert p.stdout.decode().lower() == json.dumps(e, indent=4, ensure_ascii=False).lower()  # \u001B or \u001b
    return e


# ---- what goes right ----


@pytest.mark.parametrize("version", ["0.3.0", "0.3.1", "0.4.0", "1.0.0"])
def test_add(agent, ns, version):
    p = run("ADD", ns_path(ns), conf(agent.path, version, mtu=1440, unknown={"kept": [1, 2]}))
    assert p.returncode == 0, p.stdout
    assert p.stderr == b""
    old = version != "1.0.0"
    pod = {"name": "eth0", "mac": RESULT["mac"], "sandbox": ns_path(ns)}
    address = {"address": "10.8.112.2/32", "interface": 1, **({"version": "4"} if old else {})}
    want = {"cniVersion": version, "interfaces": [{"name": "cali459253b413d"}, pod], "ips": [address],
            "routes": [{"dst": "10.8.112.2/26"}], **({"dns": {}} if old else {})}
    assert json.loads(p.stdout) == want
    assert not p.stdout.endswith(b"\n")

    [(request, fds)] = agent.calls
    assert request["method"] == "cni.add"
    assert request["params"] == {
        "cniVersion": version, "containerID": "c0ffee", "ifname": "eth0", "netns": ns_path(ns), "network": "net1",
        "args": {"IgnoreUnknown": "1", "K8S_POD_NAMESPACE": "default", "K8S_POD_NAME": "nginx"},
        "conf": conf(agent.path, version, mtu=1440, unknown={"kept": [1, 2]}),
    }
    ino = os.stat(ns_path(ns)).st_ino
    assert [d["what"] for d in fds] == ["ns", "socket"]
    assert fds[0]["ino"] == ino
    assert fds[1]["ino"] == ino
    assert (fds[1]["family"], fds[1]["proto"]) == (socket.AF_NETLINK, 0)
    assert fds[1]["name"] == (0, 0)  # neither bound nor in a group
    assert sorted(fds[1]["interfaces"]) == ["lo", "pod-mark", "pod-peer"]


def test_mtu_is_told_from_1_0_0_on(agent, ns):
    agent.answer = {"result": {**RESULT, "mtu": 1440}}
    assert json.loads(run("ADD", ns_path(ns), conf(agent.path)).stdout)["interfaces"][1]["mtu"] == 1440
    assert "mtu" not in json.loads(run("ADD", ns_path(ns), conf(agent.path, "0.4.0")).stdout)["interfaces"][1]


def test_del_and_check(agent, ns):
    agent.answer = {"result": {}}
    for command, method, more in (("DEL", "cni.del", {}), ("CHECK", "cni.check", {"prevResult": {"ips": []}})):
        p = run(command, ns_path(ns), conf(agent.path, **more))
        assert (p.returncode, p.stdout, p.stderr) == (0, b"", b"")
        request, fds = agent.calls[-1]
        assert request["method"] == method
        assert [d["what"] for d in fds] == ["ns", "socket"]
    assert agent.calls[-1][0]["params"]["conf"]["prevResult"] == {"ips": []}


@pytest.mark.parametrize("gone", ["", None, "missing", "file"])
def test_del_without_namespace(agent, ns, tmp_path, gone):
    agent.answer = {"result": {}}
    path = gone
    if gone == "missing":
        path = str(tmp_path / "nothing")
    elif gone == "file":  # what is left when a named namespace was unmounted but not unlinked
        path = str(tmp_path / "file")
        pathlib.Path(path).touch()
    p = run("DEL", path, conf(agent.path))
    assert (p.returncode, p.stdout) == (0, b"")
    request, fds = agent.calls[-1]
    assert fds == []
    assert request["params"]["netns"] == (path or "")


def test_version():
    for stdin in (b"", b"junk", None):
        p = subprocess.run([PLUGIN], input=stdin, env={"CNI_COMMAND": "VERSION"}, capture_output=True, timeout=5)
        assert p.returncode == 0
        assert p.stdout == b'{"cniVersion":"1.0.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0"]}\n'
        assert p.stderr == b""


def test_run_by_hand():
    p = subprocess.run([PLUGIN], stdin=subprocess.DEVNULL, env={}, capture_output=True, timeout=5, text=True)
    assert (p.returncode, p.stdout) == (0, "")
    assert p.stderr.splitlines()[1].endswith("0.3.0, 0.3.1, 0.4.0, 1.0.0")
    p = subprocess.run([PLUGIN, "-v"], env={}, capture_output=True, timeout=5, text=True)
    assert (p.returncode, len(p.stdout.splitlines())) == (0, 1)
    refused(subprocess.run([PLUGIN, "--nonsense"], env={}, capture_output=True, timeout=5), 100, "--nonsense")


# ---- settings inside the pod ----


def sysctl(ns, name):
    return sh("ip", "netns", "exec", ns, "cat", f"/proc/sys/{name}").strip()


def test_sysctls_are_the_pods(agent, ns):
    host = pathlib.Path("/proc/sys/net/ipv4/ip_forward").read_text()
    for value in ("1", "0"):
        agent.answer = {"result": {**RESULT, "sysctls": [["net/ipv4/ip_forward", value],
                                                         ["net/ipv4/conf/pod-mark/rp_filter", "2"]]}}
        assert run("ADD", ns_path(ns), conf(agent.path)).returncode == 0
        assert sysctl(ns, "net/ipv4/ip_forward") == value
        assert sysctl(ns, "net/ipv4/conf/pod-mark/rp_filter") == "2"
        assert pathlib.Path("/proc/sys/net/ipv4/ip_forward").read_text() == host


@pytest.mark.parametrize("name,value", [("kernel/hostname", "x"), ("net/../kernel/hostname", "x"), ("/etc/x", "x"),
                                        ("net/ipv4/ip_forward", "1\n2"), ("net/ipv4/ip_forward", "")])
def test_other_settings_are_refused(agent, ns, name, value):
    before = os.uname().nodename
    agent.answer = {"result": {**RESULT, "sysctls": [[name, value]]}}
    refused(run("ADD", ns_path(ns), conf(agent.path)), 999, "not allowed")
    assert os.uname().nodename == before


def test_setting_that_does_not_exist(agent, ns):
    agent.answer = {"result": {**RESULT, "sysctls": [["net/ipv4/korat_absent", "1"]]}}
    refused(run("ADD", ns_path(ns), conf(agent.path)), 5, "korat_absent", "No such file")


@pytest.mark.skipif(not os.path.exists("/proc/sys/net/ipv6"), reason="a kernel without IPv6")
@pytest.mark.parametrize("wanted", [True, False])
def test_ipv6_is_switched_on_before_the_agent_works(agent, ns, wanted):
    for which in ("all", "default"):
        sh("ip", "netns", "exec", ns, "sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{which}/disable_ipv6")
    seen = {}

    def answer(request):
        for which in ("all", "default", "lo"):
            seen[which] = sysctl(ns, f"net/ipv6/conf/{which}/disable_ipv6")
        return {"result": RESULT}

    agent.answer = answer
    ipam = {"type": "calico-ipam", **({"assign_ipv6": "true"} if wanted else {})}
    assert run("ADD", ns_path(ns), conf(agent.path, ipam=ipam)).returncode == 0
    assert set(seen.values()) == {"0" if wanted else "1"}


# ---- the environment ----


@pytest.mark.parametrize("command,missing", [
    ("ADD", ["CNI_CONTAINERID"]), ("ADD", ["CNI_NETNS"]), ("ADD", ["CNI_IFNAME"]), ("ADD", ["CNI_PATH"]),
    ("CHECK", ["CNI_NETNS"]), ("DEL", ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"]), ("GC", ["CNI_PATH"]),
])
def test_missing_variables(ns, command, missing):
    # Not even standard input is looked at before the environment is complete.
    p = run(command, ns_path(ns), b"junk", **{m: None for m in missing if m != "CNI_NETNS"},
            **({"CNI_NETNS": None} if "CNI_NETNS" in missing else {}))
    refused(p, 4, ", ".join(missing))


@pytest.mark.parametrize("env", [
    {"CNI_IFNAME": "abcdefghijklmnop"}, {"CNI_IFNAME": ".."}, {"CNI_IFNAME": "a/b"}, {"CNI_IFNAME": "eth%d"},
    {"CNI_IFNAME": "a b"}, {"CNI_IFNAME": b"\xff\xfe"}, {"CNI_CONTAINERID": "../x"}, {"CNI_CONTAINERID": "a\nb"},
    {"CNI_CONTAINERID": "x" * 10240}, {"CNI_CONTAINERID": b"\xff"}, {"CNI_NETNS": "/" + "x" * 8000},
    {"CNI_NETNS": b"/\xff"}, {"CNI_ARGS": "nonsense"}, {"CNI_ARGS": "A=1;"}, {"CNI_ARGS": "A=" + "x" * 5000},
    {"CNI_ARGS": "IgnoreUnknown=0;FOO=1"}, {"CNI_ARGS": b"A=\xff"},
], ids=short)
def test_bad_variables(agent, ns, env):
    for command in ("ADD", "DEL"):
        refused(run(command, env.get("CNI_NETNS", ns_path(ns)), conf(agent.path),
                    **{k: v for k, v in env.items() if k != "CNI_NETNS"}), 4, next(iter(env)))
    assert agent.calls == []


def test_a_bad_pod_name_can_still_be_deleted(agent, ns):
    """What could not be added must be possible to delete."""
    refused(run("ADD", ns_path(ns), conf(agent.path), CNI_ARGS="K8S_POD_NAME=a'b\""), 4, "K8S_POD_NAME")
    assert agent.calls == []
    assert run("DEL", ns_path(ns), conf(agent.path), CNI_ARGS="K8S_POD_NAME=a'b\"").returncode == 0


def test_unknown_command(agent, ns):
    refused(run("JUMP", ns_path(ns), conf(agent.path)), 4, "JUMP")
    refused(run("JUMP\x1b[31m\xff" * 500, ns_path(ns), conf(agent.path)), 4)
    refused(run("JUMP", ns_path(ns), b"junk"), 6)  # the configuration is looked at first


def test_junk_in_the_environment(agent, ns):
    p = run("ADD", ns_path(ns), conf(agent.path), JUNK="x" * 100000, CNI_NETNS_OVERRIDE="\x01", LC_ALL=b"\xff",
            TZ="/etc/passwd", JOURNAL_STREAM="junk", CNI_UNKNOWN="1")
    assert p.returncode == 0


# ---- standard input ----


@pytest.mark.parametrize("stdin,code", [
    (b"", 6), (b"\n", 6), (b"{", 6), (b"[]", 6), (b'"x"', 6), (b'{"name":"a"}}', 6), (b'{"name":"a","name":"b"}', 6),
    (b'{"name":"a\\u0000"}', 6), (b'{"name":"a"}\0', 6), (b'{"name":"\xff"}', 6), (b'{"name":7}', 6),
    (b'{"name":"a","x":1e999}', 6), (b'{"a":' * 100000, 6), (b"[" * 33 + b"]" * 33, 6),
    (b'{"name":"a","x":"' + b"x" * (1 << 20) + b'"}', 6), (b" " * (100 << 20), 6),
    (b"{}", 7), (b'{"name":""}', 7), (b'{"name":"../x","cniVersion":"1.0.0"}', 7),
    (b'{"name":"a"}', 1), (b'{"name":"a","cniVersion":"0.2.0"}', 1), (b'{"name":"a","cniVersion":"1.1.0"}', 1),
    (b'{"name":"a","cniVersion":"9.9.9"}', 1), (b'{"name":"a","cniVersion":"junk"}', 1),
    (b'{"name":"a","cniVersion":"1.0.0","agent_socket":"relative"}', 7),
    (b'{"name":"a","cniVersion":"1.0.0","agent_socket":{}}', 7),
], ids=short)
def test_bad_configuration(ns, stdin, code):
    for command in ("ADD", "DEL"):
        refused(run(command, ns_path(ns), stdin), code)


def test_versions_by_verb(agent, ns):
    for version in ("0.3.0", "0.3.1"):
        refused(run("CHECK", ns_path(ns), conf(agent.path, version, prevResult={})), 1, "CHECK")
    refused(run("CHECK", ns_path(ns), conf(agent.path)), 7, "prevResult")
    refused(run("CHECK", ns_path(ns), conf(agent.path, prevResult=["lies"])), 7, "prevResult")
    for command in ("GC", "STATUS"):
        for version in ("1.0.0", "1.1.0"):
            refused(run(command, None, conf(agent.path, version)), 1, command)
    assert agent.calls == []


def test_standard_input_that_never_ends(ns):
    """Half a configuration and then silence: an answer after 10 s, and not later."""
    t = time.monotonic()
    p = subprocess.Popen([PLUGIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=env_of("ADD", ns_path(ns)))
    p.stdin.write(b'{"name":')
    p.stdin.flush()
    p.wait(15)
    assert 9 < time.monotonic() - t < 12
    p.stdin.close()
    p.stdin = None
    out, err = p.communicate()
    refused(subprocess.CompletedProcess([], p.returncode, out, err), 5, "in time")


def test_missing_standard_descriptors(agent, ns):
    # The shell closes them; the namespace's descriptor must not take their place.
    env = env_of("ADD", ns_path(ns))
    p = subprocess.run(["/bin/sh", "-c", f"exec {PLUGIN} <&-"], env=env, capture_output=True, timeout=5)
    refused(p, 6)
    p = subprocess.run(["/bin/sh", "-c", f"exec {PLUGIN} >&- 2>&-"], env=env, timeout=5,
                       input=json.dumps(conf(agent.path)).encode())
    assert p.returncode == 0
    assert [d["what"] for d in agent.calls[-1][1]] == ["ns", "socket"]


def test_nobody_reads_the_result(agent, ns):
    r, w = os.pipe()
    os.close(r)
    p = subprocess.run([PLUGIN], env=env_of("ADD", ns_path(ns)), input=json.dumps(conf(agent.path)).encode(), stdout=w,
                       stderr=subprocess.PIPE, timeout=5)
    os.close(w)
    assert p.returncode == 1
    assert b"print the result" in p.stderr


# ---- the namespace ----


def test_bad_namespaces(agent, tmp_path):
    fifo, plain, loop = tmp_path / "fifo", tmp_path / "plain", tmp_path / "loop"
    os.mkfifo(fifo)
    plain.touch()
    loop.symlink_to(loop)
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "sock"))
    bad = [fifo, plain, loop, tmp_path, tmp_path / "sock", tmp_path / "gone", "/proc/self/ns/mnt", "/dev/null", "relative"]
    for command in ("ADD", "CHECK"):
        for path in bad:
            refused(run(command, str(path), conf(agent.path, prevResult={})), 8, str(path))
    assert agent.calls == []


def test_the_hosts_namespace(agent):
    links = sh("ip", "-o", "link")
    for path in ("/proc/self/ns/net", f"/proc/{os.getpid()}/ns/net"):
        refused(run("ADD", path, conf(agent.path)), 8, "host")
    refused(run("CHECK", "/proc/self/ns/net", conf(agent.path, prevResult={})), 8, "host")
    assert agent.calls == []
    # DEL takes away what the agent remembers, without touching the namespace, and then complains.
    agent.answer = {"result": {}}
    refused(run("DEL", "/proc/self/ns/net", conf(agent.path)), 8, "host")
    assert [fds for _, fds in agent.calls] == [[]]
    assert sh("ip", "-o", "link") == links


def test_the_hosts_namespace_on_purpose(agent):
    p = run("ADD", "/proc/self/ns/net", conf(agent.path), CNI_NETNS_OVERRIDE="TRUE")
    assert p.returncode == 0
    assert [d["what"] for d in agent.calls[0][1]] == ["ns", "socket"]


def test_path_through_a_symbolic_link(agent, ns, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(ns_path(ns))
    p = run("ADD", str(link), conf(agent.path))
    assert p.returncode == 0
    assert json.loads(p.stdout)["interfaces"][1]["sandbox"] == str(link)
    assert agent.calls[0][1][0]["ino"] == os.stat(ns_path(ns)).st_ino


def test_namespace_of_a_process(agent, ns):
    sleeper = subprocess.Popen(["ip", "netns", "exec", ns, "sleep", "60"])
    try:
        path = f"/proc/{sleeper.pid}/ns/net"
        deadline = time.monotonic() + 5
        while os.stat(path).st_ino != os.stat(ns_path(ns)).st_ino and time.monotonic() < deadline:
            time.sleep(0.01)
        assert run("ADD", path, conf(agent.path)).returncode == 0
        assert agent.calls[0][1][1]["ino"] == os.stat(ns_path(ns)).st_ino
    finally:
        sleeper.kill()
        sleeper.wait()


def test_without_the_right_to_enter(agent, ns):
    setpriv = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", "--ambient-caps", "-all"]
    p = subprocess.run([*setpriv, PLUGIN], input=json.dumps(conf(agent.path)).encode(), env=env_of("ADD", ns_path(ns)),
                       capture_output=True, timeout=5)
    refused(p, 5, "root")


# ---- the agent ----


@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK"])
def test_no_agent(ns, tmp_path, command):
    path = tmp_path / "none.sock"
    refused(run(command, ns_path(ns), conf(path, prevResult={})), 11, str(path), "koratd")
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    refused(run(command, ns_path(ns), conf(path, prevResult={})), 11, str(path), "koratd")


def test_default_socket(ns):
    if os.path.exists("/run/korat/agent.sock"):
        pytest.skip("an agent is running here")
    refused(run("ADD", ns_path(ns), {"cniVersion": "1.0.0", "name": "a"}), 11, "/run/korat/agent.sock")


@pytest.mark.parametrize("code,want", [(3, 3), (4, 4), (7, 7), (8, 8), (11, 11), (100, 100), (999, 999),
                                       # what the layer between answers with, in errno values
                                       (125, 11), (110, 11), (38, 999), (13, 999), (74, 999), (90, 999)])
def test_refusal_of_the_agent(agent, ns, code, want):
    agent.answer = {"error": {"code": code, "message": "no address left in pool \"x\"", "details": "10.8.112.0/26"}}
    for command in ("ADD", "DEL", "CHECK"):
        p = run(command, ns_path(ns), conf(agent.path, "0.4.0", prevResult={}))
        e = refused(p, want)
        assert e == {"cniVersion": "0.4.0", "code": want, "msg": "no address left in pool \"x\"", "details": "10.8.112.0/26"}
        assert p.stderr.count(b"\n") == 1 and b"no address left" in p.stderr


@pytest.mark.parametrize("answer,code", [
    (None, 11), (b'{"result":', 11), (b"\n", 999), (b"hello\n", 999), (b"{}\n", 999), (b'{"result":[]}\n', 999),
    (b'{"error":{"code":"x"}}\n', 999), (b'{"result":{}}\n{"result":{}}\n', 999), (b"x" * (2 << 20), 999),
    (b"[" * 100000 + b"\n", 999), ({"result": {}}, 999), ({"result": {**RESULT, "addresses": []}}, 999),
    ({"result": {**RESULT, "mac": "x"}}, 999), ({"result": {**RESULT, "hostInterface": "x" * 16}}, 999),
], ids=short)
def test_nonsense_from_the_agent(agent, ns, answer, code):
    agent.answer = answer
    refused(run("ADD", ns_path(ns), conf(agent.path)), code)


def test_agent_that_goes_away(agent, ns):
    agent.may_answer.clear()
    agent.answer = None
    p = subprocess.Popen([PLUGIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=env_of("ADD", ns_path(ns)))
    p.stdin.write(json.dumps(conf(agent.path)).encode())
    p.stdin.close()
    p.stdin = None
    assert agent.arrived.wait(5)
    t = time.monotonic()
    agent.may_answer.set()
    out, err = p.communicate(timeout=5)
    assert time.monotonic() - t < 2
    refused(subprocess.CompletedProcess([], p.returncode, out, err), 11, "went away")


def waiting_plugin(agent, ns, stdin):
    agent.may_answer.clear()
    p = subprocess.Popen([PLUGIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=env_of("ADD", ns_path(ns)))
    p.stdin.write(json.dumps(stdin).encode())
    p.stdin.close()
    p.stdin = None
    assert agent.arrived.wait(10)
    return p


def test_plugin_holds_nothing_else(agent, ns):
    p = waiting_plugin(agent, ns, conf(agent.path))
    fds = {int(n): os.readlink(f"/proc/{p.pid}/fd/{n}") for n in os.listdir(f"/proc/{p.pid}/fd")}
    assert sorted(fds)[:3] == [0, 1, 2]
    assert len(fds) == 6, fds  # and the namespace, the netlink socket, the line to the agent
    agent.may_answer.set()
    p.communicate(timeout=5)
    assert p.returncode == 0


def test_plugin_killed_while_it_waits(agent, ns):
    p = waiting_plugin(agent, ns, conf(agent.path))
    p.send_signal(signal.SIGKILL)
    p.communicate()
    assert agent.hung_up.wait(2)
    # Nothing keeps the namespace: it can go, and the next ADD finds nothing in its way.
    agent.may_answer.set()
    assert run("ADD", ns_path(ns), conf(agent.path)).returncode == 0
    ino = os.stat(ns_path(ns)).st_ino
    sh("ip", "netns", "del", ns)
    assert not any(os.stat(f"/proc/{pid}/ns/net").st_ino == ino for pid in os.listdir("/proc")
                   if pid.isdigit() and os.path.exists(f"/proc/{pid}/ns/net"))


@pytest.mark.skipif(PLUGIN.exists() and b"__asan_init" in PLUGIN.read_bytes(), reason="a sanitizer has its own memory")
def test_memory_of_a_large_configuration(agent, ns):
    """As many values as are let in, in as many bytes: the plugin stays below 8 MiB."""
    big = conf(agent.path, objects=[{} for _ in range(8000)], text="x" * 900000)
    p = waiting_plugin(agent, ns, big)
    status = pathlib.Path(f"/proc/{p.pid}/status").read_text()
    peak = next(int(l.split()[1]) for l in status.splitlines() if l.startswith("VmHWM"))
    agent.may_answer.set()
    p.communicate(timeout=5)
    assert p.returncode == 0
    assert peak < 8 * 1024, f"{peak} KiB"


def test_configuration_that_grows_on_the_way(agent, ns):
    """Control characters are six bytes when written: what was read does not fit into one line any more."""
    big = json.dumps(conf(agent.path)).encode()[:-1] + b',"x":"' + b"\\t\\b" * 100 + b"\x7f" * 1048000 + b'"}'
    refused(run("ADD", ns_path(ns), big[: 1 << 20][:-2] + b'"}'), 7, "too long")


def test_many_at_once(agent, ns):
    results = []

    def one(i):
        results.append(run("ADD", ns_path(ns), conf(agent.path), timeout=60, CNI_CONTAINERID=f"c{i}"))

    threads = [threading.Thread(target=one, args=(i,)) for i in range(64)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [p.returncode for p in results] == [0] * 64
    assert sorted(r["params"]["containerID"] for r, _ in agent.calls) == sorted(f"c{i}" for i in range(64))
    assert all([d["what"] for d in fds] == ["ns", "socket"] for _, fds in agent.calls)
