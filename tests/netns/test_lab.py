"""korat lab itself: up, down, refused, killed half-way; and that nothing outside of the lab is ever touched."""
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import time

import pytest
from conftest import BUILD, KORAT, TOP, run, wait_for

SEED = str(TOP / "examples/seed.yaml")
STATE = pathlib.Path("/run/korat/lab")
FOREIGN = "korat-t-lab-foreign"


def namespaces():
    return {p.name for p in pathlib.Path("/run/netns").glob("*")} if os.path.isdir("/run/netns") else set()


def korat(*args, code=0, korat=KORAT, **kw):
    r = run(korat, *args, check=False, timeout=180, **kw)
    assert r.returncode == code, f"korat {' '.join(args)}: exit {r.returncode}, expected {code}\n{r.stdout}{r.stderr}"
    assert "internal error" not in r.stderr
    return r


def status():
    return json.loads(korat("lab", "status", "-o", "json").stdout)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def foreign():
    """A namespace with a process in it that has nothing to do with the lab, although its name looks like it."""
    run("ip", "netns", "add", FOREIGN)
    p = subprocess.Popen(["ip", "netns", "exec", FOREIGN, "sleep", "1000"])
    try:
        yield p
    finally:
        p.kill()
        p.wait()
        run("ip", "netns", "del", FOREIGN)


@pytest.fixture(autouse=True)
def clean():
    korat("lab", "down")
    before = namespaces()
    yield
    korat("lab", "down")
    assert namespaces() == before
    assert not STATE.exists()


def test_down_without_a_lab_succeeds():
    r = korat("lab", "down")
    assert r.stdout == "No lab is up.\n"
    r = korat("lab", "status", code=1)
    assert "no lab is up: start one with" in r.stderr
    r = korat("lab", "exec", "node1", "--", "true", code=1)
    assert "no lab is up" in r.stderr


def test_up_and_down(foreign):
    before = namespaces()
    r = korat("lab", "up", SEED)
    assert r.stdout.startswith("Lab seed is up: 2 nodes, 2 pods,")
    assert "every node has a route to every pod" in r.stderr
    assert namespaces() - before == {"korat-seg-lan", "korat-gw", "korat-node2", "korat-node3", "korat-nginx-1", "korat-nginx-2"}
    pids = [n[p] for n in status()["nodes"] for p in ("pid", "agent_pid", "speaker_pid")]
    assert all(alive(p) for p in pids)
    r = korat("lab", "down")
    assert r.stdout.startswith("The lab is down")
    assert namespaces() == before
    assert not [p for p in pids if alive(p)]
    assert foreign.poll() is None


def test_status():
    korat("lab", "up", SEED)
    st = status()
    assert st["lab"] == "seed" and st["complete"]
    node = st["nodes"][0]
    assert (node["name"], node["address"], node["state"], node["ready"]) == ("node2", "172.16.67.138/24", "ready", True)
    assert node["blocks"] == ["10.8.112.0/26"]
    wait_for("the session", lambda: status()["nodes"][0]["sessions"] == {"established": 1, "configured": 1})
    pod = st["pods"][1]
    assert (pod["name"], pod["node"], pod["address"], pod["interface"]) == ("nginx-2", "node3", "10.8.152.200", "cali9e48d9de449")
    table = korat("lab", "status").stdout
    assert "\x1b" not in table
    assert any(line.split()[:3] == ["node2", "172.16.67.138/24", "ready"] for line in table.splitlines())
    os.kill(node["pid"], signal.SIGKILL)
    wait_for("node2 to be down", lambda: status()["nodes"][0]["state"] == "down")


def test_the_nodes_interface_is_as_the_document_shows():
    korat("lab", "up", SEED)
    addr = korat("lab", "exec", "node2", "--", "ip", "addr", "show", "ens192").stdout
    assert addr.startswith("2: ens192")
    assert "link/ether 00:50:56:95:8d:20" in addr
    assert "inet 172.16.67.138/24 brd 172.16.67.255 scope global noprefixroute ens192" in addr
    assert "inet6 fe80::250:56ff:fe95:8d20/64 scope link" in addr
    assert "tentative" not in addr
    route = korat("lab", "exec", "node2", "--", "ip", "route").stdout
    assert "172.16.67.0/24 dev ens192 proto kernel scope link src 172.16.67.138 metric 100" in route
    assert "default" not in route
    route = korat("lab", "exec", "node3", "--", "ip", "route").stdout
    assert "default via 172.16.67.1 dev ens192 proto static metric 100" in route


def test_second_up_is_refused_or_replaces():
    korat("lab", "up", SEED)
    pid = status()["nodes"][0]["pid"]
    r = korat("lab", "up", "--nodes", "1", code=1)
    assert "lab seed is up" in r.stderr and "korat lab down" in r.stderr
    assert alive(pid) and status()["lab"] == "seed"
    korat("lab", "up", "--replace", "--nodes", "2")
    assert not alive(pid) and status()["lab"] == "flat-2"


def test_exec_passes_the_exit_code():
    korat("lab", "up", "--nodes", "1")
    korat("lab", "exec", "node1", "--", "sh", "-c", "exit 42", code=42)
    korat("lab", "exec", "node1", "true")
    assert korat("lab", "exec", "10.100.0.1", "--", "cat", "/proc/sys/net/ipv4/ip_forward").stdout == "1\n"
    assert korat("lab", "exec", "pod1", "--", "echo", "--nodes").stdout == "--nodes\n"
    r = korat("lab", "exec", "nod1", "--", "true", code=1)
    assert "did you mean 'node1'?" in r.stderr and "pod1" in r.stderr
    r = korat("lab", "exec", "node1", "--", "no-such-program", code=127)
    assert "no-such-program" in r.stderr


def test_a_bad_file_makes_nothing(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text(pathlib.Path(SEED).read_text(encoding="utf-8").replace("gateway:", "gatewya:"), encoding="utf-8")
    before = namespaces()
    r = korat("lab", "up", str(bad), code=1)
    assert r.stderr.startswith(f"korat: {bad}:") and "did you mean 'gateway'?" in r.stderr
    assert namespaces() == before and not STATE.exists()


def test_a_foreign_namespace_in_the_way_stays():
    run("ip", "netns", "add", "korat-node3")
    try:
        before = namespaces()
        r = korat("lab", "up", SEED, code=1)
        assert "korat-node3 is there already and belongs to no lab" in r.stderr
        assert namespaces() == before and not STATE.exists()
    finally:
        run("ip", "netns", "del", "korat-node3")


def other_korat(tmp_path, **programs):
    """A korat whose koratd and korat-cni are something else."""
    for name in ("korat", "korat-store-sqlite.so"):
        shutil.copy(BUILD / name, tmp_path / name)
    for name, text in programs.items():
        path = tmp_path / name.replace("_", "-")
        path.write_text(text, encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(tmp_path / "korat")


def test_a_missing_program_is_named(tmp_path):
    me = other_korat(tmp_path)
    assert "koratd is not beside korat" in korat("lab", "up", SEED, korat=me, code=1).stderr
    me = other_korat(tmp_path, koratd="#!/bin/sh\n")
    assert "korat-cni is not beside korat" in korat("lab", "up", SEED, korat=me, code=1).stderr
    assert not STATE.exists()


def test_a_koratd_that_dies_is_shown_and_undone(tmp_path):
    me = other_korat(tmp_path, koratd="#!/bin/sh\necho my last words\nexit 3\n", korat_cni="#!/bin/sh\n")
    before = namespaces()
    r = korat("lab", "up", SEED, korat=me, code=1)
    assert "koratd of node2 has ended" in r.stderr and "my last words" in r.stderr
    assert namespaces() == before and not STATE.exists()


def test_a_plugin_that_fails_is_quoted_and_kept_if_asked(tmp_path):
    plugin = "#!/bin/sh\ncat > /dev/null\necho '{\"code\": 11, \"msg\": \"not today\", \"details\": \"come back tomorrow\"}'\nexit 1\n"
    me = other_korat(tmp_path, korat_cni=plugin)
    (tmp_path / "koratd").symlink_to(BUILD / "koratd")
    r = korat("lab", "up", "--keep", SEED, korat=me, code=1)
    assert "pod nginx-1 on node2: not today: come back tomorrow" in r.stderr
    assert not status()["complete"]
    r = korat("lab", "pod", "add", "x", "--node", "node2", code=1)
    assert "half-made" in r.stderr
    r = korat("lab", "up", SEED, code=1)
    assert "half-made" in r.stderr


@pytest.mark.parametrize("ms", [5, 20, 40, 60, 80, 100, 130, 160, 200, 250, 300, 400])
def test_killed_half_way(foreign, ms):
    """Whatever up had made when it was killed is gone after down, processes included, and nothing else is."""
    before = namespaces()
    p = subprocess.Popen([KORAT, "lab", "up", "--nodes", "8"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(ms / 1000)
    p.kill()
    p.wait()
    pids = []
    for f in STATE.glob("nodes/*/koratd.pid"):
        pids.append(int(f.read_text(encoding="ascii").split()[0]))
    korat("lab", "down")
    assert namespaces() == before
    assert not STATE.exists()
    assert not [pid for pid in pids if alive(pid)]
    assert foreign.poll() is None
    wait_for("no process with the lab's run directory to be left", lambda: not leftovers())


def leftovers():
    found = []
    for p in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"/run/korat/lab/nodes/" in p.read_bytes():
                found.append(p.parent.name)
        except OSError:
            pass
    return found


def test_down_ends_what_runs_inside_and_nothing_else(foreign):
    korat("lab", "up", "--nodes", "1")
    inside = subprocess.Popen([KORAT, "lab", "exec", "pod1", "--", "sleep", "1000"])
    wait_for("sleep to run", lambda: os.readlink(f"/proc/{inside.pid}/exe").endswith("sleep"))
    korat("lab", "down")
    assert inside.wait(10) == -signal.SIGTERM
    assert foreign.poll() is None


def test_down_after_an_interrupted_down():
    korat("lab", "up", "--nodes", "3")
    p = subprocess.Popen([KORAT, "lab", "down"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.02)
    p.kill()
    p.wait()
    korat("lab", "down")


def test_down_removes_the_file_of_a_namespace_that_was_not_made():
    """What is left by a kill between making the file and binding the namespace to it."""
    korat("lab", "up", "--nodes", "1")
    run("umount", "/run/netns/korat-pod1")
    assert "korat-pod1" in namespaces()
    korat("lab", "down")


def test_down_understands_a_state_it_cannot_read_in_full():
    """The list of namespaces is enough."""
    korat("lab", "up", "--nodes", "2")
    doc = json.loads((STATE / "state.json").read_text(encoding="utf-8"))
    doc["version"] = 99
    doc["lab"] = {"from": "the future"}
    (STATE / "state.json").write_text(json.dumps(doc), encoding="utf-8")
    assert "another version" in korat("lab", "status", code=1).stderr
    korat("lab", "down")


def test_a_pod_that_cannot_be_made_leaves_nothing():
    korat("lab", "up", SEED)
    before = namespaces()
    r = korat("lab", "pod", "add", "twin", "--node", "node3", "--ip", "10.8.112.2", code=1)
    assert "10.8.112.2" in r.stderr
    r = korat("lab", "pod", "add", "nginx-1", "--node", "node3", code=1)
    assert "already taken" in r.stderr
    r = korat("lab", "pod", "add", "new", "--node", "node9", code=1)
    assert "there is no node 'node9'" in r.stderr
    assert namespaces() == before
    assert [p["name"] for p in status()["pods"]] == ["nginx-1", "nginx-2"]
    korat("lab", "pod", "add", "new", "--node", "node3", "--ip", "10.8.152.201")
    korat("lab", "pod", "del", "new")
    assert namespaces() == before


def test_pods_are_made_side_by_side():
    korat("lab", "up", "--nodes", "2")
    adds = [subprocess.Popen([KORAT, "lab", "pod", "add", f"extra{i}", "--node", f"node{1 + i % 2}"], stdout=subprocess.DEVNULL)
            for i in range(8)]
    assert [p.wait(60) for p in adds] == [0] * 8
    pods = status()["pods"]
    assert len(pods) == 10 and len({p["address"] for p in pods}) == 10


def test_more_nodes_than_the_neighbour_table_holds():
    """40 nodes are 1 560 neighbours on this one machine; the kernel's table holds 1 024."""
    r = korat("lab", "up", "--nodes", "40")
    assert "permanent entries" in r.stderr
    assert r.stdout.startswith("Lab flat-40 is up: 40 nodes, 40 pods,")
    wait_for("every session", lambda: all(n["sessions"] == {"established": 39, "configured": 39} for n in status()["nodes"]),
             seconds=60)


def test_needs_root():
    if not os.access(KORAT, os.X_OK) or subprocess.run(["test", "-x", KORAT], user="nobody", check=False).returncode:
        pytest.skip("the build directory is not readable for nobody")
    for verb in (["up", "--nodes", "1"], ["down"], ["status"]):
        r = korat("lab", *verb, code=1, user="nobody", group="nogroup", extra_groups=[])
        assert f"'korat lab {verb[0]}' needs root" in r.stderr
