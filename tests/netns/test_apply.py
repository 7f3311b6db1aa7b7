"""The fourth walk: a resource is applied, and the kernels of the nodes follow. Broken files change nothing."""
import json
import os
import re
import signal
import subprocess

import pytest
from conftest import KORAT, lab_fixture, run, wait_for

lab = lab_fixture("--nodes", "3")
NODES = ["node1", "node2", "node3"]
SECOND = """apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
  name: second-pool
spec:
  cidr: 10.9.0.0/16
"""


def apply(text, check=True):
    return run(KORAT, "apply", "-f", "-", input=text, check=check)


def get(kind, name):
    return json.loads(run(KORAT, "get", kind, name, "-o", "json").stdout)


def change(kind, name, **spec):
    """Reads, changes and applies, as a person with an editor would."""
    doc = get(kind, name)
    for k, v in spec.items():
        doc["spec"].pop(k, None)
        if v is not None:
            doc["spec"][k] = v
    return apply(json.dumps(doc)).stdout


def node_ip(lab, node):
    return lab.status(node)["ipv4"]


def pods_of(lab, node):
    return {p["netns"].rsplit("korat-", 1)[1]: p["addresses"][0] for p in lab.status(node)["pods"]}


def all_established(lab):
    return all(lab.status(n)["sessions"] == {"established": 2, "configured": 2} for n in NODES)


def wait_mesh(lab):
    wait_for("every session to be up", lambda: all_established(lab), seconds=30)
    for n in NODES:
        for m in NODES:
            for b in lab.status(m)["blocks"]:
                if n != m:
                    lab.wait_route(n, f"{b} via {node_ip(lab, m)} dev eth0 proto bird")


def test_what_apply_says(lab):
    assert apply(SECOND).stdout == "ippool/second-pool created\n"
    assert apply(SECOND).stdout == "ippool/second-pool unchanged\n"
    uid = get("ippool", "second-pool")["metadata"]["uid"]
    assert change("ippool", "second-pool", disabled=True) == "ippool/second-pool configured\n"
    assert get("ippool", "second-pool")["metadata"]["uid"] == uid
    # The file is the whole truth: what it leaves out gets its default.
    assert apply(SECOND).stdout == "ippool/second-pool configured\n"
    assert "disabled" not in get("ippool", "second-pool")["spec"]
    assert run(KORAT, "delete", "-f", "-", input=SECOND).stdout == "ippool/second-pool deleted\n"


def test_what_get_prints_can_be_applied(lab):
    for kind in ("ippools", "nodes", "bgpconfigurations"):
        for form in ("yaml", "json"):
            text = run(KORAT, "get", kind, "-o", form).stdout
            lines = apply(text).stdout.splitlines()
            assert lines and all(line.endswith(" unchanged") for line in lines)
    names = run(KORAT, "get", "nodes", "-o", "name").stdout.split()
    assert names == ["node/node1", "node/node2", "node/node3"]
    assert len(run(KORAT, "get", *names).stdout.splitlines()) == 4
    table = run(KORAT, "get", "wep", "-A", "-o", "wide").stdout
    for n in NODES:
        for address in pods_of(lab, n).values():
            assert re.search(rf"\b{n}\b.*\b{re.escape(address)}/32\b", table)
    for kind in ("blocks", "affinities", "handles"):
        assert run(KORAT, "get", kind).stdout


def test_a_new_pool_is_used(lab):
    """Pods get addresses of the pool that is enabled; those that have one keep it."""
    old = pods_of(lab, "node1")
    apply(SECOND)
    change("ippool", "default-pool", disabled=True)
    run(KORAT, "lab", "pod", "add", "newpod", "--node", "node1")
    address = pods_of(lab, "node1")["newpod"]
    assert address.startswith("10.9.")
    block = [b for b in lab.status("node1")["blocks"] if b.startswith("10.9.")][0]
    for n in ("node2", "node3"):
        lab.wait_route(n, f"{block} via {node_ip(lab, 'node1')} dev eth0 proto bird")
    assert "1 received" in lab.exec("pod2", "ping", "-c", "1", "-W", "2", address)
    assert old.items() <= pods_of(lab, "node1").items()
    assert "1 received" in lab.exec("newpod", "ping", "-c", "1", "-W", "2", old["pod1"])

    # In use, it is not deleted, and stays as it was.
    before = get("ippool", "second-pool")
    r = run(KORAT, "delete", "ippool", "second-pool", check=False)
    assert r.returncode == 1
    assert "has 1 addresses in 1 blocks in use" in r.stderr and "spec.disabled" in r.stderr
    assert get("ippool", "second-pool") == before

    # Without pods it goes, and its blocks with it.
    run(KORAT, "lab", "pod", "del", "newpod")
    assert run(KORAT, "delete", "ippool", "second-pool").stdout == "ippool/second-pool deleted\n"
    assert "10.9." not in run(KORAT, "get", "blocks").stdout + run(KORAT, "get", "affinities").stdout
    for n in NODES:
        wait_for(f"10.9.0.0/16 gone from {n}", lambda: not [r for r in lab.routes(n) if "10.9." in r])
    change("ippool", "default-pool", disabled=None)


def test_a_disabled_pool_gives_no_addresses(lab):
    change("ippool", "default-pool", disabled=True)
    try:
        # The agents follow the datastore by themselves; the request itself is answered from what they know.
        r = run(KORAT, "lab", "pod", "add", "late", "--node", "node2", check=False)
        assert r.returncode == 1
        assert "there is no enabled IPv4 pool; create an IPPool" in r.stderr
        assert "late" not in pods_of(lab, "node2")
        assert "1 received" in lab.exec("pod1", "ping", "-c", "1", "-W", "2", pods_of(lab, "node2")["pod2"])
    finally:
        change("ippool", "default-pool", disabled=None)
    run(KORAT, "lab", "pod", "add", "late", "--node", "node2")
    assert pods_of(lab, "node2")["late"].startswith("10.8.")
    run(KORAT, "lab", "pod", "del", "late")


def test_the_mesh_is_taken_down_and_brought_back(lab):
    wait_mesh(lab)
    blocks = {n: lab.status(n)["blocks"] for n in NODES}
    change("bgpconfiguration", "default", nodeToNodeMeshEnabled=False)
    for n in NODES:
        wait_for(f"{n} without sessions", lambda: lab.status(n)["sessions"] == {"established": 0, "configured": 0})
        wait_for(f"{n} without routes of others", lambda: not [r for r in lab.routes(n) if " via " in r])
        # Its own are not touched.
        for b in blocks[n]:
            assert f"blackhole {b} proto bird" in lab.routes(n)
    assert lab.exec("node1", "ss", "-Htn", "state", "established", "( sport = 179 or dport = 179 )") == ""
    change("bgpconfiguration", "default", nodeToNodeMeshEnabled=True)
    wait_mesh(lab)


def opens_in(file):
    """The AS number in the last OPEN message of each source."""
    text = run("tcpdump", "-nv", "-r", file, check=False).stdout
    return dict(re.findall(r"^    ([\d.]+)\.\d+ > [^\n]*\n\tOpen Message[^\n]*\n\t  Version 4, my AS (\d+)", text, re.M))


def expect_opens(lab, node, file, want, act):
    """Runs act() and waits for node's interface to have seen OPEN messages with the wanted AS numbers: {source: AS}."""
    p = subprocess.Popen([KORAT, "lab", "exec", node, "--", "tcpdump", "-Z", "root", "-B", "8192", "-i", "eth0", "-U", "-w", str(file),
                          "tcp port 179"], stderr=subprocess.PIPE, text=True)
    try:
        assert "listening on" in p.stderr.readline()
        act()
        wait_for(f"OPEN messages of {want}", lambda: opens_in(file) == want)
    finally:
        p.send_signal(signal.SIGTERM)
        p.communicate(timeout=10)


def flaps(lab):
    return [sum(p["flaps"] for p in lab.status(n)["peers"]) for n in NODES]


def in_as(lab, kind, name, **spec):
    before = flaps(lab)
    change(kind, name, **spec)
    wait_for("sessions to restart", lambda: all(a > b for a, b in zip(flaps(lab), before)))


def wait_ebgp(lab):
    """To node3 the others pass each other's blocks on, as Calico does: there may be several ways, but the straight one is among them."""
    wait_for("every session to be up", lambda: all_established(lab), seconds=30)
    for n, m in [("node1", "node3"), ("node3", "node1"), ("node3", "node2")]:
        for b in lab.status(m)["blocks"]:
            wait_for(f"a route to {b} on {n}", lambda: f"via {node_ip(lab, m)} " in lab.exec(n, "ip", "route", "show", b) + " ")
    for a, b in [("pod1", "pod3"), ("pod3", "pod2"), ("pod2", "pod1")]:
        ip = pods_of(lab, b.replace("pod", "node"))[b]
        assert "1 received" in lab.exec(a, "ping", "-c", "1", "-W", "2", ip)


def test_another_as_number(lab, tmp_path):
    ips = [node_ip(lab, n) for n in NODES]
    bgp = get("node", "node3")["spec"]["bgp"]
    try:
        expect_opens(lab, "node1", tmp_path / "a", {ip: "64600" for ip in ips},
                     lambda: in_as(lab, "bgpconfiguration", "default", asNumber=64600))
        wait_mesh(lab)
        # One node in an AS of its own.
        expect_opens(lab, "node1", tmp_path / "b", {ips[0]: "64600", ips[2]: "64601"},
                     lambda: in_as(lab, "node", "node3", bgp={**bgp, "asNumber": 64601}))
        wait_ebgp(lab)
    finally:
        change("node", "node3", bgp=bgp)
        change("bgpconfiguration", "default", asNumber=64512)
    wait_mesh(lab)


def test_a_pool_that_is_not_exported(lab):
    wait_mesh(lab)
    blocks = {n: lab.status(n)["blocks"] for n in NODES}
    change("ippool", "default-pool", disableBGPExport=True)
    for n in NODES:
        wait_for(f"no route of others on {n}", lambda: not [r for r in lab.routes(n) if " via " in r])
        for b in blocks[n]:
            assert f"blackhole {b} proto bird" in lab.routes(n)
    assert all_established(lab)
    change("ippool", "default-pool", disableBGPExport=False)
    wait_mesh(lab)


def listening(lab, node):
    lines = lab.exec(node, "ss", "-Htln").splitlines()
    return {int(line.split()[3].rsplit(":", 1)[1]) for line in lines}


def session_ports(lab, node):
    """The lower port of both ends is the one that was listened on."""
    ends = [line.split()[2:4] for line in lab.exec(node, "ss", "-Htn", "state", "established").splitlines()]
    return {min(int(end.rsplit(":", 1)[1]) for end in pair) for pair in ends}


def test_another_port(lab):
    wait_mesh(lab)
    assert listening(lab, "node1") == {179}
    before = flaps(lab)
    change("bgpconfiguration", "default", listenPort=1790)
    for n in NODES:
        wait_for(f"{n} on port 1790 alone", lambda: listening(lab, n) == {1790})
    # Sessions that are up need no new connection; one that comes back uses the new port.
    assert all_established(lab) and flaps(lab) == before
    os.kill(lab.status("node2")["speaker_pid"], signal.SIGKILL)
    wait_for("node2's sessions on port 1790", lambda: session_ports(lab, "node2") == {1790}, seconds=30)
    wait_mesh(lab)
    change("bgpconfiguration", "default", listenPort=None)
    for n in NODES:
        wait_for(f"{n} on port 179 alone", lambda: listening(lab, n) == {179})
    wait_mesh(lab)


def test_a_node_is_deleted(lab):
    run(KORAT, "lab", "node", "add", "late", "--address", "10.100.0.77/16")
    run(KORAT, "lab", "pod", "add", "latepod", "--node", "late")
    block = lab.status("late")["blocks"][0]
    route = f"{block} via 10.100.0.77 dev eth0 proto bird"
    for n in NODES:
        lab.wait_route(n, route)
    r = run(KORAT, "delete", "node", "late")
    assert r.stdout == "node/late deleted\n"
    assert "1 addresses of late in 1 blocks are still given out" in r.stderr
    for n in NODES:
        lab.wait_route(n, route, present=False)
        wait_for(f"{n} without late", lambda: lab.status(n)["sessions"]["configured"] == 2)
    assert "there is no Node late" in lab.status("late")["reason"]
    run(KORAT, "lab", "node", "del", "late")
    # The pod went with the node, and so did the block.
    assert block not in run(KORAT, "get", "blocks").stdout
    assert "late/" not in run(KORAT, "get", "affinities").stdout


def test_a_locked_datastore(lab):
    """datastoreReady: false stops pods from being added; what identifies the cluster cannot be lost by the way."""
    info = "apiVersion: projectcalico.org/v3\nkind: ClusterInformation\nmetadata: {name: default}\nspec: {%s}\n"
    guid = get("clusterinformation", "default")["spec"]["clusterGUID"]
    apply(info % "datastoreReady: false")
    try:
        r = run(KORAT, "lab", "pod", "add", "locked", "--node", "node1", check=False)
        assert r.returncode == 1 and "datastoreReady: false" in r.stderr
    finally:
        apply(info % "")
    assert get("clusterinformation", "default")["spec"]["clusterGUID"] == guid
    wait_for("node1 to be ready", lambda: lab.status("node1")["ready"])
    # Nor could what was begun be taken back meanwhile.
    run(KORAT, "lab", "pod", "del", "locked")
    run(KORAT, "lab", "pod", "add", "locked", "--node", "node1")
    run(KORAT, "lab", "pod", "del", "locked")


def test_many_at_once_lose_nothing(lab):
    """Compare-and-swap: of writers of one object each is seen, and none fails."""
    text = run(KORAT, "get", "bgpconfiguration", "default", "-o", "json", "--export").stdout
    docs = []
    for i in range(8):
        doc = json.loads(text)
        doc["metadata"]["labels"] = {"writer": str(i)}
        docs.append(json.dumps(doc))
    procs = [subprocess.Popen([KORAT, "apply", "-f", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
             for _ in docs]
    for p, d in zip(procs, docs):
        out, err = p.communicate(d, timeout=60)
        assert (p.returncode, out) == (0, "bgpconfiguration/default configured\n"), err
    assert get("bgpconfiguration", "default")["metadata"]["labels"]["writer"] in "01234567"
    apply(text)
    # A file that says which revision it was made from is not applied over a newer one.
    stale = run(KORAT, "get", "bgpconfiguration", "default", "-o", "json").stdout
    apply(docs[0])
    r = apply(stale, check=False)
    assert r.returncode == 1 and "metadata.resourceVersion" in r.stderr
    apply(text)


# ---- broken files ----

def pool(spec, name="broken", head="apiVersion: projectcalico.org/v3\nkind: IPPool"):
    return f"{head}\nmetadata:\n  name: {name}\nspec:\n{spec}\n"


BROKEN = [
    # text, line, column, words
    ("apiVersion: projectcalico.org/v3\nkind: [IPPool\n", 3, 1, ["not valid YAML"]),
    (pool("  cidr: 10.50.0.0/16\n  blokSize: 26"), 7, 3, ["spec.blokSize", "did you mean blockSize?"]),
    (pool("  cidr: 10.50.0.1/16"), 6, 9, ["spec.cidr", "host bits", "10.50.0.0/16"]),
    (pool("  cidr: 10.50.0.0/16\n  blockSize: 33"), 7, 14, ["spec.blockSize", "33", "20..32"]),
    (pool("  cidr: 10.50.0.0/28"), None, None, ["spec.blockSize", "26", "28"]),
    (pool("  cidr: 10.50.0.0/16\n  disabled: perhaps"), 7, 13, ["spec.disabled", "true or false"]),
    (pool("  cidr: 10.8.3.0/24"), 6, 9, ["spec.cidr", "10.8.3.0/24 overlaps 10.8.0.0/16 of IPPool default-pool"]),
    (pool("  cidr: 10.60.0.0/16", name="default-pool"), 6, 9, ["spec.cidr", "cannot be changed"]),
    (pool("  cidr: 10.50.0.0/16", name="Bad_Name"), 4, 9, ["metadata.name", "Bad_Name", "lower-case"]),
    (pool("  cidr: 10.50.0.0/16", head="apiVersion: projectcalico.org/v2\nkind: IPPool"), 1, 13, ["apiVersion", "projectcalico.org/v3"]),
    (pool("  cidr: 10.50.0.0/16", head="apiVersion: projectcalico.org/v3\nkind: IPPol"), 2, 7, ["kind", "did you mean IPPool?"]),
    ("apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: x}\n", 2, 7, ["BGPPeer is not supported yet"]),
    ("apiVersion: projectcalico.org/v3\nkind: IPAMBlock\nmetadata: {name: x}\n", 2, 7, ["IPAMBlock", "by hand"]),
    ("apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: x}\nspec: {bgp: {asNumber: 0}}\n", 4, 24, ["spec.bgp.asNumber", "1..4294967295"]),
    ("apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: x}\nspec: {bgp: {asNumber: 1}}\n", 4, 13, ["spec.bgp", "a node without address"]),
    ("", 1, 1, ["there is no document"]),
    ("just words\n", 1, 1, ["a map of fields"]),
]


@pytest.mark.parametrize("text, line, column, words", BROKEN)
def test_a_broken_file(lab, tmp_path, text, line, column, words):
    f = tmp_path / "broken.yaml"
    # A good document before it is not written either.
    f.write_text((pool("  cidr: 10.70.0.0/16", name="good") + "---\n" if text else "") + text)
    before = run(KORAT, "get", "ippools", "-o", "yaml").stdout
    r = run(KORAT, "apply", "-f", f, check=False)
    assert r.returncode == 1 and r.stdout == ""
    place = re.match(rf"korat: {re.escape(str(f))}:(\d+):(\d+): (.*)", r.stderr)
    assert place, r.stderr
    for w in words:
        assert w in place[3], r.stderr
    if line:
        assert (int(place[1]) - (7 if text else 0), int(place[2])) == (line, column), r.stderr
    assert r.stderr.endswith("Nothing was changed.\n")
    assert run(KORAT, "get", "ippools", "-o", "yaml").stdout == before


def test_all_that_is_wrong_is_said_at_once(lab, tmp_path):
    a, b = tmp_path / "a.yaml", tmp_path / "b.json"
    a.write_text(pool("  cidr: 10.50.0.0/16", name="one") + "---\n" + pool("  cidr: 10.50.1.0/24", name="two"))
    b.write_text('{"apiVersion": "projectcalico.org/v3", "kind": "IPPool",\n "metadata": {"name": "three"},\n "spec": {"cidr": 7}}\n')
    r = run(KORAT, "apply", "-f", tmp_path, check=False)
    assert r.returncode == 1
    assert f"{a}:13:9: spec.cidr: 10.50.1.0/24 overlaps 10.50.0.0/16 of IPPool one" in r.stderr
    assert f"{b}:3:19: spec.cidr: 7 is not" in r.stderr
    assert "one" not in run(KORAT, "get", "ippools").stdout


@pytest.mark.parametrize("args, code, words", [
    (["apply"], 2, ["-f"]),
    (["apply", "-f", "/nonexistent.yaml"], 1, ["/nonexistent.yaml", "No such file"]),
    (["get"], 2, ["ippools", "nodes"]),
    (["get", "ippol"], 2, ["did you mean 'ippools'?"]),
    (["get", "ippools", "nobody"], 1, ["there is no IPPool 'nobody'", "default-pool"]),
    (["get", "ippools", "-o", "xml"], 2, ["xml", "wide"]),
    (["get", "ippools", "-n", "default"], 2, ["not namespaced"]),
    (["get", "ippools", "--datastore", "/nonexistent/x.db"], 1, ["/nonexistent"]),
    (["delete", "ippool"], 2, ["which IPPool"]),
    (["delete", "ippool", "nobody"], 1, ["there is no IPPool 'nobody'"]),
    (["delete", "block", "10.8.0.0-26"], 1, ["by hand"]),
    (["delete", "clusterinformation", "default"], 1, ["cannot be deleted"]),
])
def test_wrong_words(lab, args, code, words):
    r = run(KORAT, *args, check=False)
    assert r.returncode == code, r.stderr
    for w in words:
        assert w in r.stderr
    assert run(KORAT, "delete", "ippool", "nobody", "--ignore-not-found").stdout == ""
