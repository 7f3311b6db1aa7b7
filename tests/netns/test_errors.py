"""Bad input: one sentence that says what to do, a non-zero exit, and nothing half-made."""
import json
import os
import signal
import socket
import subprocess

import pytest
from conftest import BUILD, KORAT, TOP, Lab, lab_fixture, run, wait_for

KORATD = str(BUILD / "koratd")
lab = lab_fixture(str(TOP / "examples/seed.yaml"))


def sentence(text):
    """The error of a command: what is left of its output without progress lines."""
    return [line for line in text.splitlines() if ": " in line][-1]


# ---- lab files ----

def lab_text(**change):
    text = (TOP / "examples/seed.yaml").read_text()
    for old, new in change.get("replace", []):
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.mark.parametrize("replace, words", [
    ([("kind: Lab", "kind: [Lab")], ["lab.yaml:", "not valid YAML"]),
    ([("name: seed", "name: seed\nnaem: x")], ["lab.yaml:", "naem"]),
    ([("blockSize: 26", "blockSize: 33")], ["lab.yaml:", "blockSize", "33"]),
    ([("cidr: 10.8.0.0/16", "cidr: 10.8.0.0/27")], ["lab.yaml:", "blockSize", "26"]),
    ([("cidr: 10.8.0.0/16", "cidr: 10.8.0.1/16")], ["lab.yaml:", "cidr"]),
    ([("    address: 172.16.67.138/24\n", "")], ["lab.yaml:", "address"]),
    ([("blockSize: 26", "blokSize: 26")], ["lab.yaml:", "blokSize", "blockSize"]),
    ([("nodeToNodeMeshEnabled: true", "nodeToNodeMeshEnabled: maybe")], ["lab.yaml:", "nodeToNodeMeshEnabled"]),
])
def test_broken_lab_file(tmp_path, replace, words):
    f = tmp_path / "lab.yaml"
    f.write_text(lab_text(replace=replace))
    before = sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else []
    r = run(KORAT, "lab", "up", "--replace", f, check=False)
    assert r.returncode != 0
    for w in words:
        assert w in r.stderr, r.stderr
    # File, line and column: "lab.yaml:12:5: ...".
    place = sentence(r.stderr).split("lab.yaml:")[1].split(":")
    assert place[0].isdigit() and place[1].isdigit()
    after = sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else []
    assert after == before


def test_overlapping_pools(tmp_path):
    second = """  - apiVersion: projectcalico.org/v3
    kind: IPPool
    metadata: {name: second-pool}
    spec: {cidr: 10.8.128.0/17}
  - apiVersion: projectcalico.org/v3
    kind: BGPConfiguration"""
    f = tmp_path / "lab.yaml"
    f.write_text(lab_text(replace=[("  - apiVersion: projectcalico.org/v3\n    kind: BGPConfiguration", second)]))
    r = run(KORAT, "lab", "up", "--replace", f, check=False)
    assert r.returncode != 0
    assert "10.8.128.0/17 overlaps 10.8.0.0/16 of IPPool default-pool" in r.stderr


# ---- koratd ----

def koratd_in(lab, node, *args, caps=None, timeout=10):
    cmd = [KORAT, "lab", "exec", node, "--"]
    if caps is not None:
        cmd += ["capsh", f"--drop={caps}", "--", "-c", 'exec "$@"', "sh"]
    return subprocess.run([*cmd, KORATD, *args], capture_output=True, text=True, timeout=timeout)


def test_a_second_agent_on_a_node(lab):
    r = koratd_in(lab, "node2", "agent", "--node", "node2", "--datastore", "sqlite:/run/korat/lab/store.db",
                  "--run-dir", "/run/korat/lab/nodes/node2")
    assert r.returncode != 0
    assert "already running" in r.stderr and str(lab.status("node2")["pid"]) in r.stderr
    assert lab.status("node2")["ready"]


def test_port_179_in_use(lab, tmp_path):
    """Another run directory gets past the lock, but not past the port."""
    r = koratd_in(lab, "node2", "--node", "node2", "--datastore", "sqlite:/run/korat/lab/store.db", "--run-dir", str(tmp_path / "run"))
    assert r.returncode != 0
    assert "TCP port 179" in r.stderr and "listenPort" in r.stderr
    assert lab.status("node2")["ready"]


def test_a_missing_capability(lab, tmp_path):
    r = koratd_in(lab, "nginx-1", "agent", "--node", "x", "--datastore", f"sqlite:{tmp_path}/s.db", "--run-dir", str(tmp_path / "run"),
                  caps="cap_net_admin")
    assert r.returncode != 0
    assert "CAP_NET_ADMIN" in r.stderr and "run it as root" in r.stderr


@pytest.mark.parametrize("args, words", [
    (["--datastore", "sqlite:/nonexistent/dir/korat.db"], ["/nonexistent/dir"]),
    (["--datastore", "etcd:http://127.0.0.1:2379"], ["etcd"]),
    (["--node", "Bad_Name"], ["Bad_Name", "--node"]),
    (["--log-level", "loud"], ["loud", "debug"]),
    (["--no-such-option"], ["no-such-option"]),
    (["spaeker"], ["spaeker", "speaker"]),
])
def test_koratd_options(lab, tmp_path, args, words):
    extra = [] if "--node" in args else ["--node", "x"]
    role = [] if args[0] == "spaeker" else ["agent"]
    r = koratd_in(lab, "nginx-1", *role, *args, *extra, "--run-dir", str(tmp_path / "run"))
    assert r.returncode != 0
    for w in words:
        assert w in r.stderr


def test_a_corrupt_datastore(lab, tmp_path):
    f = tmp_path / "korat.db"
    f.write_bytes(b"this is not a database" * 1000)
    r = koratd_in(lab, "nginx-1", "agent", "--node", "x", "--datastore", f"sqlite:{f}", "--run-dir", str(tmp_path / "run"))
    assert r.returncode != 0
    assert str(f) in r.stderr
    assert f.read_bytes().startswith(b"this is not")


def test_a_node_without_resource_is_not_ready_and_says_so(lab, tmp_path):
    """The agent waits for its Node and tells whoever asks what is missing; a CNI ADD meanwhile is told to try again."""
    p = subprocess.Popen([KORAT, "lab", "exec", "gw", "--", KORATD, "--node", "stranger", "--datastore", "sqlite:/run/korat/lab/store.db",
                          "--run-dir", str(tmp_path / "run")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        def ask():
            try:
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(str(tmp_path / "run/agent.sock"))
                    s.sendall(b'{"method":"status"}\n')
                    return json.loads(s.makefile().readline())["result"]
            except (OSError, ValueError):
                return None
        wait_for("the datastore to be read", lambda: (ask() or {}).get("store", {}).get("synced"))
        st = ask()
        assert not st["ready"]
        assert "there is no Node stranger in the datastore" in st["reason"]
    finally:
        p.send_signal(signal.SIGTERM)
        assert p.wait(20) == 0


def test_lab_commands_without_a_lab_or_a_name(lab):
    r = run(KORAT, "lab", "exec", "nobody", "--", "true", check=False)
    assert r.returncode == 1 and "nobody" in r.stderr and "nginx-1" in r.stderr
    r = run(KORAT, "lab", "exce", check=False)
    assert r.returncode == 2 and "exec" in r.stderr
    r = run(KORAT, "lab", "up", str(TOP / "examples/seed.yaml"), check=False)
    assert r.returncode == 1 and "--replace" in r.stderr
