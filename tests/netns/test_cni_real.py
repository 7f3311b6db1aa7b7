"""The plugin against the real agent: idempotence, unknown pods, killed ADDs, lost namespaces, leaks."""
import json
import os
import random
import signal
import subprocess
import time

import pytest
from conftest import BUILD, KORAT, TOP, lab_fixture, run, wait_for

lab = lab_fixture(str(TOP / "examples/seed.yaml"))
PLUGIN = str(BUILD / "korat-cni")
SOCKET = "/run/korat/lab/nodes/node2/agent.sock"


class Pod:
    """A namespace and a container id, as a runtime would hold them."""
    def __init__(self, name, cid=None):
        self.name, self.ns = name, f"korat-t-{name}"
        self.cid = cid or f"{name}0123456789"
        subprocess.run(["ip", "netns", "add", self.ns], check=True)

    def start(self, command, args="", conf=None, netns=None, version="1.0.0", env=None):
        netconf = {"cniVersion": version, "name": "korat", "type": "korat-cni", "agent_socket": SOCKET}
        netconf.update(conf or {})
        e = {"PATH": os.environ["PATH"], "CNI_COMMAND": command, "CNI_CONTAINERID": self.cid, "CNI_NETNS": netns or f"/run/netns/{self.ns}",
             "CNI_IFNAME": "eth0", "CNI_PATH": str(BUILD), "CNI_ARGS": args}
        e.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        e.update(env or {})
        p = subprocess.Popen([PLUGIN], env=e, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            p.stdin.write(json.dumps(netconf))
            p.stdin.close()
        except BrokenPipeError:
            pass  # it refused the environment and left before reading
        p.stdin = None
        return p

    def cni(self, command, **kw):
        p = self.start(command, **kw)
        out, err = p.communicate(timeout=60)
        return p.returncode, (json.loads(out) if out.strip() else None)

    def ip(self, *args):
        return run("ip", "-n", self.ns, *args).stdout

    def gone(self):
        subprocess.run(["ip", "netns", "del", self.ns], check=False)


@pytest.fixture
def pod(request):
    made = []

    def make(name, **kw):
        made.append(Pod(name, **kw))
        return made[-1]
    yield make
    for p in made:
        p.cni("DEL")
        p.gone()


def in_store(kind_like):
    r = run("sqlite3", "/run/korat/lab/store.db", ".tables")
    table = "object" if "object" in r.stdout else "objects"
    return run("sqlite3", "/run/korat/lab/store.db", f"select name, value from {table} where name like '{kind_like}'").stdout


def state(lab):
    """Everything a leak could show in: links, routes, addresses given out, handles."""
    links = lab.exec("node2", "ip", "-o", "link").splitlines()
    blocks = [json.loads(line.split("|", 1)[1]) for line in in_store("10.8.112.0-26").splitlines()]
    given = sum(x is not None for b in blocks for x in b.get("allocations", []))
    handles = in_store("korat.%")
    return {"links": len(links), "routes": sorted(lab.routes("node2")), "given": given, "handles": len(handles.splitlines())}


def test_add_twice_gives_the_same_answer(lab, pod):
    p = pod("twice")
    code, first = p.cni("ADD")
    assert code == 0, first
    code, second = p.cni("ADD")
    assert code == 0
    assert first == second
    assert len([x for x in p.ip("-o", "-4", "addr").splitlines() if "eth0" in x]) == 1


def test_two_adds_at_once_give_one_answer(lab, pod):
    p = pod("atonce")
    running = [p.start("ADD") for _ in range(8)]
    answers = [json.loads(q.communicate(timeout=60)[0]) for q in running]
    assert all(q.returncode == 0 for q in running), answers
    assert all(a == answers[0] for a in answers)


def test_check_sees_what_is_broken(lab, pod):
    p = pod("check")
    _, result = p.cni("ADD")
    conf = {"prevResult": result}
    assert p.cni("CHECK", conf=conf)[0] == 0
    breakages = [
        (("ip", "-n", p.ns, "route", "del", "default"), "default route"),
        (("ip", "-n", p.ns, "addr", "flush", "dev", "eth0", "scope", "global"), "address"),
        (("ip", "-n", p.ns, "link", "set", "eth0", "down"), "down"),
    ]
    for cmd, word in breakages:
        run(*cmd)
        code, err = p.cni("CHECK", conf=conf)
        assert code == 1 and word in err["msg"], err
        assert p.cni("ADD")[0] == 0  # mends it
        assert p.cni("CHECK", conf=conf)[0] == 0
    host = result["interfaces"][0]["name"]
    lab.exec("node2", "sh", "-c", f"echo 0 > /proc/sys/net/ipv4/conf/{host}/proxy_arp")
    code, err = p.cni("CHECK", conf=conf)
    assert code == 1 and "proxy_arp" in err["msg"]


def test_del_of_an_unknown_pod_succeeds(lab, pod):
    p = pod("unknown")
    assert p.cni("DEL") == (0, None)
    assert p.cni("DEL") == (0, None)


def test_what_add_refuses_del_does_not(lab, pod):
    p = pod("refused")
    conf = {"ipam": {"type": "korat-ipam", "assign_ipv4": "false"}}
    assert p.cni("ADD", conf=conf)[0] != 0
    assert p.cni("DEL", conf=conf) == (0, None)


def test_the_old_sandbox_goes_after_the_new_one_came(lab, pod):
    """Two containers of one Kubernetes pod share interface name and record: the old one's DEL is not about the new one."""
    args = "IgnoreUnknown=1;K8S_POD_NAME=web;K8S_POD_NAMESPACE=default"
    before = state(lab)
    old, new = pod("sandbox1"), pod("sandbox2")
    assert old.cni("ADD", args=args)[0] == 0
    code, answer = new.cni("ADD", args=args)
    assert code == 0
    assert old.cni("DEL", args=args)[0] == 0
    address = answer["ips"][0]["address"]
    assert any(r.startswith(address.split("/")[0] + " dev cali") for r in lab.routes("node2"))
    assert new.cni("CHECK", args=args, conf={"prevResult": answer})[0] == 0
    assert new.cni("DEL", args=args)[0] == 0
    wait_for("nothing to be left", lambda: state(lab) == before)


def test_del_is_possible_for_what_add_refused(lab, pod):
    p = pod("badname")
    args = "K8S_POD_NAME=Bad_Name;K8S_POD_NAMESPACE=default"
    code, err = p.cni("ADD", args=args)
    assert code == 1 and err["code"] == 4 and "Bad_Name" in err["msg"]
    assert p.cni("DEL", args=args) == (0, None)


def test_del_with_the_namespace_gone(lab, pod):
    before = state(lab)
    p = pod("nsgone")
    assert p.cni("ADD")[0] == 0
    p.gone()
    assert p.cni("DEL") == (0, None)
    wait_for("nothing left", lambda: state(lab) == before)


def test_add_with_a_namespace_that_is_gone(lab, pod):
    before = state(lab)
    p = pod("nothere")
    code, err = p.cni("ADD", netns="/run/netns/korat-t-never-was")
    assert code == 1 and err["code"] in (3, 4, 8) and "korat-t-never-was" in err["msg"] + err.get("details", "")
    assert state(lab) == before


def test_an_address_that_is_taken(lab, pod):
    before = state(lab)
    p = pod("taken")
    code, err = p.cni("ADD", args="IgnoreUnknown=1;IP=10.8.112.2")
    assert code == 1 and "10.8.112.2" in err["msg"]
    assert state(lab) == before
    assert "eth0" not in p.ip("-o", "link")


def test_an_address_outside_every_pool(lab, pod):
    before = state(lab)
    p = pod("outside")
    code, err = p.cni("ADD", args="IP=192.0.2.7")
    assert code == 1 and "192.0.2.7" in err["msg"] and "pool" in err["msg"]
    assert state(lab) == before


def test_an_interface_that_is_not_ours_is_left_alone(lab, pod):
    before = state(lab)
    p = pod("foreign")
    run("ip", "-n", p.ns, "link", "add", "eth0", "type", "bridge")
    code, err = p.cni("ADD")
    assert code == 1 and "eth0" in err["msg"]
    assert "eth0" in p.ip("-o", "link")
    assert state(lab) == before


def test_the_hosts_own_namespace_is_refused(lab, pod):
    p = pod("hostns")
    code, err = p.cni("ADD", netns="/proc/self/ns/net")
    assert code == 1 and err["code"] == 8


def test_an_add_killed_at_any_moment_is_mended(lab, pod):
    """The plugin is killed after a random moment; then DEL or ADD must put everything right."""
    before = state(lab)
    rng = random.Random(1)
    p = pod("killed")
    for i in range(25):
        q = p.start("ADD")
        time.sleep(rng.random() * 0.004)
        q.kill()
        q.communicate()
        if i % 2:
            assert p.cni("ADD")[0] == 0
            _, result = p.cni("ADD")
            assert p.cni("CHECK", conf={"prevResult": result})[0] == 0
        assert p.cni("DEL") == (0, None)
        wait_for(f"round {i}: nothing left", lambda: state(lab) == before)


def test_the_agent_killed_during_adds_leaves_nothing(lab, pod):
    before = state(lab)
    rng = random.Random(2)
    p = pod("agentkill")

    def ready():
        try:
            return lab.status("node2")["ready"]
        except (OSError, ValueError, KeyError):
            return False
    for i in range(6):
        pid = lab.status("node2")["pid"]
        q = p.start("ADD")
        time.sleep(rng.random() * 0.006)
        os.kill(pid, signal.SIGKILL)
        q.communicate(timeout=60)
        wait_for("the agent to be back", ready, 30)
        assert p.cni("ADD")[0] == 0
        assert p.cni("DEL") == (0, None)
        wait_for(f"round {i}: nothing left", lambda: state(lab) == before)


def test_many_pods_at_once_leak_nothing(lab, pod):
    before = state(lab)
    pods = [pod(f"many{i}") for i in range(20)]
    adds = [p.start("ADD") for p in pods]
    results = [json.loads(q.communicate(timeout=60)[0]) for q in adds]
    assert all(q.returncode == 0 for q in adds)
    ips = [r["ips"][0]["address"] for r in results]
    assert len(set(ips)) == len(ips)
    dels = [p.start("DEL") for p in pods]
    assert [q.wait(60) for q in dels] == [0] * len(dels)
    for q in dels:
        q.communicate()
    wait_for("nothing left", lambda: state(lab) == before)


def test_without_an_agent(lab, pod):
    p = pod("noagent")
    code, err = p.cni("ADD", conf={"agent_socket": "/run/korat/nobody.sock"})
    assert code == 1 and err["code"] == 11 and "/run/korat/nobody.sock" in err["msg"]
    assert "eth0" not in p.ip("-o", "link")


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0"])
def test_every_version_is_spoken(lab, pod, version):
    p = pod("v" + version.replace(".", ""))
    code, r = p.cni("ADD", version=version)
    assert code == 0 and r["cniVersion"] == version
    assert r["ips"][0]["address"].endswith("/32")
    assert r["interfaces"][1]["name"] == "eth0"
    assert ("version" in r["ips"][0]) == (version != "1.0.0")
