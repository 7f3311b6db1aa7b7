"""IPv6: dual-stack and IPv6-only pods, sessions and routes of both families, links on which the runtime disabled IPv6."""
import pytest
from conftest import lab_fixture, wait_for, Lab

LAB = """
apiVersion: lab.korat.io/v1
kind: Lab
name: v6
segments:
  - {name: lan, subnet: 172.16.67.0/24, subnet6: fd00:67::/64}
nodes:
  - {name: node2, segment: lan, interface: ens192, address: 172.16.67.138/24, address6: "fd00:67::138/64"}
  - {name: node3, segment: lan, interface: ens192, address: 172.16.67.139/24, address6: "fd00:67::139/64"}
resources:
  - apiVersion: projectcalico.org/v3
    kind: IPPool
    metadata: {name: pool4}
    spec: {cidr: 10.8.0.0/16, blockSize: 26}
  - apiVersion: projectcalico.org/v3
    kind: IPPool
    metadata: {name: pool6}
    spec: {cidr: "fd00:10:244::/64", blockSize: 122}
cni:
  ipam: %s
pods:
  - {name: a, node: node2}
  - {name: b, node: node3}
"""

DUAL = '{type: calico-ipam, assign_ipv4: "true", assign_ipv6: "true"}'
ONLY = '{type: calico-ipam, assign_ipv4: "false", assign_ipv6: "true"}'


@pytest.fixture(scope="module", params=[DUAL, ONLY], ids=["dual-stack", "ipv6-only"])
def lab(request, tmp_path_factory):
    f = tmp_path_factory.mktemp("v6") / "lab.yaml"
    f.write_text(LAB % request.param)
    lab = Lab(str(f))
    lab.dual = request.param == DUAL
    try:
        yield lab.up()
    finally:
        lab.down()


def addresses(lab, node, pod):
    [p] = [p for p in lab.status(node)["pods"] if p["netns"].endswith(f"/korat-{pod}")]
    return p["addresses"]


def test_pods_have_the_families_asked_for(lab):
    for node, pod in (("node2", "a"), ("node3", "b")):
        got = addresses(lab, node, pod)
        assert len(got) == (2 if lab.dual else 1)
        assert got[-1].startswith("fd00:10:244:")
        shown = lab.exec(pod, "ip", "-6", "addr", "show", "dev", "eth0")
        [line] = [x for x in shown.splitlines() if f"inet6 {got[-1]}/128 scope global" in x]
        assert "tentative" not in line  # usable at once


def test_pod_default_route_is_the_hosts_link_local(lab):
    assert "default via fe80::ecee:eeff:feee:eeee dev eth0 metric 1024 pref medium" in lab.routes("a", "-6")


def test_node_routes(lab):
    """IPv6 shows metric 1024 in every version of Calico, because the kernel fills it in."""
    block = [b for b in lab.status("node3")["blocks"] if ":" in b][0]
    lab.wait_route("node2", f"{block} via fd00:67::139 dev ens192 proto bird metric 1024 pref medium", "-6")
    own = [b for b in lab.status("node2")["blocks"] if ":" in b][0]
    lab.wait_route("node2", f"blackhole {own} dev lo proto bird metric 1024 pref medium", "-6")
    a6 = addresses(lab, "node2", "a")[-1]
    assert [r for r in lab.routes("node2", "-6") if r.startswith(f"{a6} dev cali") and "metric 1024" in r]


def test_both_sessions_are_up(lab):
    for n in ("node2", "node3"):
        wait_for(f"two sessions of {n}", lambda: lab.status(n)["sessions"] == {"established": 2, "configured": 2})


def test_pods_reach_each_other(lab):
    for ip in addresses(lab, "node3", "b"):
        assert "1 received" in lab.exec("a", "ping", "-c", "1", "-W", "2", ip)


def test_path_over_ipv6(lab):
    code, path = lab.path(addresses(lab, "node2", "a")[-1], addresses(lab, "node3", "b")[-1])
    assert code == 0, path
    assert path["verdict"] == "Both directions work: a and b reach each other."
