"""Five nodes in a mesh: pods added, moved and deleted, nodes added and removed, processes killed."""
import os
import signal
import subprocess

import pytest
from conftest import KORAT, lab_fixture, run, wait_for

lab = lab_fixture("--nodes", "5")
NODES = [f"node{i}" for i in range(1, 6)]


def blocks(lab):
    return {n: lab.status(n)["blocks"] for n in NODES}


def address(lab, node):
    return lab.exec(node, "ip", "-4", "-o", "addr", "show", "dev", "eth0", check=False).split()


def node_ip(lab, node):
    return lab.status(node)["ipv4"]


def test_every_session_is_established(lab):
    for n in NODES:
        wait_for(f"4 sessions of {n}", lambda: lab.status(n)["sessions"] == {"established": 4, "configured": 4})


def test_every_node_has_every_block(lab):
    own = blocks(lab)
    for n in NODES:
        for m in NODES:
            for b in own[m]:
                want = f"blackhole {b} proto bird" if n == m else f"{b} via {node_ip(lab, m)} dev eth0 proto bird"
                wait_for(f"{want} on {n}", lambda: want in lab.routes(n))


def test_every_pod_reaches_every_pod(lab):
    pods = {p["netns"].rsplit("korat-", 1)[1]: p["addresses"][0] for n in NODES for p in lab.status(n)["pods"]}
    assert len(pods) == 5
    for a in pods:
        for b, ip in pods.items():
            if a != b:
                assert "1 received" in lab.exec(a, "ping", "-c", "1", "-W", "2", ip)


def pod_ip(lab, node, name):
    for p in lab.status(node)["pods"]:
        if p["netns"].endswith(f"/korat-{name}"):
            return p["addresses"][0]
    return None


def test_a_pod_is_added_and_deleted(lab):
    run(KORAT, "lab", "pod", "add", "extra", "--node", "node1")
    ip = pod_ip(lab, "node1", "extra")
    assert ip
    other = [p["netns"].rsplit("korat-", 1)[1] for p in lab.status("node5")["pods"]][0]
    assert "1 received" in lab.exec(other, "ping", "-c", "1", "-W", "2", ip)
    run(KORAT, "lab", "pod", "del", "extra")
    assert pod_ip(lab, "node1", "extra") is None
    assert not [r for r in lab.routes("node1") if r.startswith(ip + " ")]


def test_a_pod_moves_and_keeps_its_address(lab):
    """The address stays, the node changes: it is borrowed from the old node's block, and its /32 leads to the new node."""
    run(KORAT, "lab", "pod", "add", "mover", "--node", "node1")
    ip = pod_ip(lab, "node1", "mover")
    run(KORAT, "lab", "pod", "del", "mover")
    run(KORAT, "lab", "pod", "add", "mover", "--node", "node2", "--ip", ip)
    assert pod_ip(lab, "node2", "mover") == ip
    for n in ("node1", "node3", "node4", "node5"):
        lab.wait_route(n, f"{ip} via {node_ip(lab, 'node2')} dev eth0 proto bird")
    other = [p["netns"].rsplit("korat-", 1)[1] for p in lab.status("node3")["pods"]][0]
    assert "1 received" in lab.exec(other, "ping", "-c", "1", "-W", "2", ip)
    run(KORAT, "lab", "pod", "del", "mover")
    for n in ("node1", "node3"):
        lab.wait_route(n, f"{ip} via {node_ip(lab, 'node2')} dev eth0 proto bird", present=False)


def test_a_node_is_added_and_removed(lab):
    run(KORAT, "lab", "node", "add", "late", "--address", "10.100.0.77/16")
    run(KORAT, "lab", "pod", "add", "latepod", "--node", "late")
    try:
        ip = pod_ip(lab, "late", "latepod")
        block = lab.status("late")["blocks"][0]
        for n in NODES:
            lab.wait_route(n, f"{block} via 10.100.0.77 dev eth0 proto bird")
        other = [p["netns"].rsplit("korat-", 1)[1] for p in lab.status("node4")["pods"]][0]
        assert "1 received" in lab.exec(other, "ping", "-c", "1", "-W", "2", ip)
    finally:
        run(KORAT, "lab", "pod", "del", "latepod")
        run(KORAT, "lab", "node", "del", "late")
    for n in NODES:
        lab.wait_route(n, f"{block} via 10.100.0.77 dev eth0 proto bird", present=False)
        wait_for(f"{n} forgets the session", lambda: lab.status(n)["sessions"]["configured"] == 4)


@pytest.mark.parametrize("role", ["pid", "speaker_pid"])
def test_a_killed_process_comes_back_and_touches_no_route(lab, role):
    before = sorted(lab.routes("node3"))
    old = lab.status("node3")[role]
    os.kill(old, signal.SIGKILL)

    def back():
        try:
            st = lab.status("node3")
        except (OSError, ValueError, KeyError):
            return False
        return st[role] not in (0, old) and st["sessions"] == {"established": 4, "configured": 4} and st["speaker_synced"]

    wait_for(f"node3's {role} to come back", back, seconds=30)
    assert sorted(lab.routes("node3")) == before


def test_neighbours_see_nothing_of_a_killed_speaker(lab):
    """Graceful restart: while node3's speaker is killed and comes back, no route changes on node1, and no packet is lost."""
    [target] = [p["addresses"][0] for p in lab.status("node3")["pods"]]
    pod = [p["netns"].rsplit("korat-", 1)[1] for p in lab.status("node1")["pods"]][0]
    watch = subprocess.Popen([KORAT, "lab", "exec", "node1", "--", "ip", "monitor", "route"], stdout=subprocess.PIPE, text=True)
    ping = subprocess.Popen([KORAT, "lab", "exec", pod, "--", "ping", "-q", "-i", "0.005", "-c", "600", target], stdout=subprocess.PIPE, text=True)
    try:
        old = lab.status("node3")["speaker_pid"]
        os.kill(old, signal.SIGKILL)
        wait_for("the speaker to be back", lambda: lab.status("node3")["speaker_pid"] not in (0, old), 30)
        wait_for("its sessions", lambda: lab.status("node3")["sessions"]["established"] == 4 and lab.status("node3")["speaker_synced"], 30)
        wait_for("node1 to see it", lambda: lab.status("node1")["sessions"]["established"] == 4, 30)
        out = ping.communicate(timeout=60)[0]
    finally:
        watch.terminate()
        changes = [x for x in watch.communicate()[0].splitlines() if "proto bird" in x]
    assert changes == []
    assert "600 received, 0% packet loss" in out


def test_an_agent_killed_leaves_sessions_up(lab):
    """Each process is restartable without the other: the speaker keeps its sessions while the agent is away."""
    flaps = {p["address"]: p["flaps"] for p in lab.status("node4")["peers"]}
    old = lab.status("node4")
    os.kill(old["pid"], signal.SIGKILL)

    def back():
        try:
            st = lab.status("node4")
        except (OSError, ValueError, KeyError):
            return False
        return st["pid"] != old["pid"] and st["sessions"]["established"] == 4
    wait_for("node4's agent to come back", back, seconds=30)
    st = lab.status("node4")
    assert st["speaker_pid"] == old["speaker_pid"]
    assert {p["address"]: p["flaps"] for p in st["peers"]} == flaps


def test_a_deleted_route_comes_back(lab):
    route = [r for r in lab.routes("node1") if " via " in r and r.endswith("proto bird")][0]
    lab.exec("node1", "ip", "route", "del", route.split()[0])
    lab.wait_route("node1", route)
    hole = [r for r in lab.routes("node1") if r.startswith("blackhole")][0]
    lab.exec("node1", "ip", "route", "del", "blackhole", hole.split()[1])
    lab.wait_route("node1", hole)


def test_a_foreign_route_is_left_alone(lab):
    lab.exec("node1", "ip", "route", "add", "10.99.0.0/24", "via", node_ip(lab, "node2"), "proto", "static")
    run(KORAT, "lab", "node", "restart", "node1")
    wait_for("node1 to be ready", lambda: lab.status("node1")["ready"])
    assert [r for r in lab.routes("node1") if r.startswith("10.99.0.0/24")]
    lab.exec("node1", "ip", "route", "del", "10.99.0.0/24")


def test_an_interface_that_went_down_gets_its_routes_back(lab):
    before = sorted(lab.routes("node2"))
    lab.exec("node2", "ip", "link", "set", "eth0", "down")
    wait_for("the routes to go", lambda: not [r for r in lab.routes("node2") if "dev eth0" in r])
    lab.exec("node2", "ip", "link", "set", "eth0", "up")
    want = {r for r in before if "proto bird" in r}
    wait_for("the routes to come back", lambda: want <= set(lab.routes("node2")), seconds=60)
