"""The document, line for line: two nodes, two pods, and everything seen on the wire between them."""
import re
import subprocess
import sys

import pytest
from conftest import KORAT, TOP, lab_fixture, run, wait_for

lab = lab_fixture(str(TOP / "examples/seed.yaml"))
A, B = "10.8.112.2", "10.8.152.200"


def test_every_claim_of_the_document(lab):
    """The same collector that ./demo prints: each line of the document is compared with what ip and tcpdump say."""
    sys.path.insert(0, str(TOP / "tools"))
    import seed_evidence
    seed_evidence.KORAT = KORAT
    claims = seed_evidence.collect()
    assert len(claims.rows) >= 30
    assert not [row for row in claims.rows if not row[2]]


def test_node_routes_are_exactly_the_documents(lab):
    assert sorted(lab.routes("node2")) == sorted([
        "blackhole 10.8.112.0/26 proto bird",
        "10.8.112.2 dev cali459253b413d scope link",
        "10.8.152.192/26 via 172.16.67.139 dev ens192 proto bird",
        "172.16.67.0/24 dev ens192 proto kernel scope link src 172.16.67.138 metric 100",
    ])
    assert sorted(lab.routes("node3")) == sorted([
        "default via 172.16.67.1 dev ens192 proto static metric 100",
        "10.8.112.0/26 via 172.16.67.138 dev ens192 proto bird",
        "blackhole 10.8.152.192/26 proto bird",
        "10.8.152.200 dev cali9e48d9de449 scope link",
        "172.16.67.0/24 dev ens192 proto kernel scope link src 172.16.67.139 metric 100",
    ])


def test_routes_in_detail(lab):
    """ip -d shows type, protocol and scope, which plain ip route hides."""
    out = lab.exec("node2", "ip", "-d", "route")
    assert re.search(r"^blackhole 10\.8\.112\.0/26 proto bird scope global", out, re.M)
    assert re.search(r"^unicast 10\.8\.112\.2 dev cali459253b413d proto boot scope link", out, re.M)
    assert re.search(r"^unicast 10\.8\.152\.192/26 via 172\.16\.67\.139 dev ens192 proto bird scope global", out, re.M)


def test_pod_routes_are_exactly_the_documents(lab):
    assert lab.routes("nginx-1") == ["default via 169.254.1.1 dev eth0", "169.254.1.1 dev eth0 scope link"]


def test_host_interface_settings(lab):
    for name, value in (("proxy_arp", "1"), ("forwarding", "1"), ("route_localnet", "1")):
        assert lab.exec("node2", "cat", f"/proc/sys/net/ipv4/conf/cali459253b413d/{name}").strip() == value
    assert lab.exec("node2", "cat", "/proc/sys/net/ipv4/neigh/cali459253b413d/proxy_delay").strip() == "0"
    assert lab.exec("node2", "cat", "/proc/sys/net/ipv6/conf/cali459253b413d/accept_ra").strip() == "0"
    assert lab.exec("nginx-1", "cat", "/proc/sys/net/ipv4/ip_forward").strip() == "0"


@pytest.mark.parametrize("pod", ["nginx-1", "nginx-2"])
def test_gateway_answers_with_and_without_default_route(lab, pod):
    """node2 has no default route, so the kernel's proxy ARP alone would be silent there."""
    lab.exec(pod, "ip", "neigh", "flush", "all")
    lab.exec(pod, "ping", "-c", "1", "-W", "2", A if pod == "nginx-2" else B)
    assert "169.254.1.1 dev eth0 lladdr ee:ee:ee:ee:ee:ee" in lab.exec(pod, "ip", "neigh")


def test_unassigned_address_of_an_own_block_is_dropped_not_looped(lab):
    """The blackhole: a packet to an address nobody has must not go back to the network."""
    r = lab.exec("nginx-1", "ping", "-c", "1", "-W", "1", "10.8.112.9", check=False)
    assert "1 received" not in r
    code, path = lab.path("nginx-1", "10.8.112.9")
    assert code == 4
    assert "blackhole" in path["verdict"] and "no pod has it" in path["verdict"]


def test_path_explains_both_directions(lab):
    code, path = lab.path(A, B)
    assert code == 0, path
    assert path["verdict"] == "Both directions work: nginx-1 and nginx-2 reach each other."
    there = [s["text"] for s in path["ways"][0]["steps"]]
    assert any(t.startswith("default via 169.254.1.1 dev eth0") for t in there)
    assert any("10.8.152.192/26 via 172.16.67.139 dev ens192 proto bird" in t and "from node3" in t for t in there)
    assert any("172.16.67.139 dev ens192 lladdr 00:50:56:95:58:0c" in t for t in there)
    assert any("00:50:56:95:8d:20 > 00:50:56:95:58:0c" in t for t in there)
    assert any("10.8.152.200 dev cali9e48d9de449 scope link" in t for t in there)
    back = [s["text"] for s in path["ways"][1]["steps"]]
    assert any("10.8.112.0/26 via 172.16.67.138 dev ens192 proto bird" in t and "from node2" in t for t in back)


def test_path_names_what_it_does_not_know(lab):
    r = run(KORAT, "path", "nginx-1", "nobody", check=False)
    assert r.returncode == 1
    assert '"nobody"' in r.stderr and "lab status" in r.stderr


def test_both_processes_hold_only_what_they_need(lab):
    st = lab.status("node2")
    caps = {}
    for role in ("pid", "speaker_pid"):
        with open(f"/proc/{st[role]}/status", encoding="ascii") as f:
            caps[role] = dict(line.split(":\t") for line in f.read().splitlines() if ":\t" in line)
    speaker, agent = caps["speaker_pid"], caps["pid"]
    for field in ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"):
        assert int(speaker[field], 16) == 0, (field, speaker[field])
    assert set(speaker["Uid"].split()) != {"0"} and "0" not in speaker["Uid"].split()
    assert speaker["NoNewPrivs"] == "1" and agent["NoNewPrivs"] == "1"
    # CAP_NET_BIND_SERVICE (10), CAP_NET_ADMIN (12), CAP_NET_RAW (13) and nothing else.
    assert int(agent["CapEff"], 16) == 1 << 10 | 1 << 12 | 1 << 13
    assert int(agent["CapBnd"], 16) == 1 << 10 | 1 << 12 | 1 << 13


def test_speaker_opens_no_file_and_no_netlink(lab):
    import os
    st = lab.status("node2")
    links = [os.readlink(f"/proc/{st['speaker_pid']}/fd/{fd}") for fd in os.listdir(f"/proc/{st['speaker_pid']}/fd")]
    assert not [x for x in links if x.endswith((".db", ".db-wal", ".sock"))]
    with open(f"/proc/{st['speaker_pid']}/maps", encoding="utf-8") as f:
        maps = f.read()
    assert "sqlite" not in maps and "libcurl" not in maps and "libssl" not in maps


def test_agent_on_sqlite_carries_no_tls(lab):
    st = lab.status("node2")
    with open(f"/proc/{st['pid']}/maps", encoding="utf-8") as f:
        maps = f.read()
    assert "korat-store-sqlite" in maps
    assert "libcurl" not in maps and "libssl" not in maps and "libcrypto" not in maps
