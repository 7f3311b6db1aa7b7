"""The document's last section: without a common link, plain routes cannot work, and `korat path` says why."""
from conftest import TOP, lab_fixture, wait_for

lab = lab_fixture(str(TOP / "examples/routed.yaml"))


def test_sessions_come_up_through_the_router(lab):
    for n in ("node2", "node3"):
        wait_for(f"{n}'s session", lambda: lab.status(n)["sessions"] == {"established": 1, "configured": 1})


def test_the_route_goes_to_the_router(lab):
    """Recursive resolution: the next hop is not connected, so the gateway that leads to it is used, as BIRD does."""
    lab.wait_route("node2", "10.8.152.192/26 via 172.16.67.1 dev ens192 proto bird")
    lab.wait_route("node3", "10.8.112.0/26 via 172.16.66.1 dev ens192 proto bird")


def test_pods_do_not_reach_each_other(lab):
    assert "1 received" not in lab.exec("nginx-1", "ping", "-c", "1", "-W", "1", "10.8.152.200", check=False)


def test_path_says_what_the_document_says(lab):
    lab.wait_route("node2", "10.8.152.192/26 via 172.16.67.1 dev ens192 proto bird")
    code, path = lab.path("nginx-1", "nginx-2")
    assert code == 4
    v = path["verdict"]
    assert "172.16.66.139" in v and "not on this link" in v
    assert "the router 172.16.67.1" in v and "does not know the pod 10.8.152.200" in v
    router = [s for s in path["ways"][0]["steps"] if s["where"].startswith("router")]
    assert router and router[0]["result"] == "fails"


def test_the_router_really_does_not_know(lab):
    assert "10.8." not in lab.exec("gw", "ip", "route")
