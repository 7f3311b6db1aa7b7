"""The evidence of the document behind Korat (two nodes, two pods, everything seen on the wire), taken live and compared line for line.

Prints what `ip` and tcpdump say, then each claim with what was seen, ✓ or ✗. Exit code 0 only if every claim holds.
"""
import os
import re
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KORAT = os.environ.get("KORAT_BUILD", os.path.join(TOP, "build")) + "/korat"
NODE2, NODE3, POD_A, POD_B = "node2", "node3", "nginx-1", "nginx-2"
A, B = "10.8.112.2", "10.8.152.200"
MAC2, MAC3 = "00:50:56:95:8d:20", "00:50:56:95:58:0c"

color = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if color else text


def head(text):
    print("\n" + paint("1", text))


def run(*cmd, check=True):
    r = subprocess.run(cmd, capture_output=True, text=True)
    if check and r.returncode:
        sys.exit(f"{' '.join(cmd)}: {r.stderr.strip() or r.stdout.strip() or 'exit code ' + str(r.returncode)}")
    return r.stdout


def inside(name, *cmd):
    return run(KORAT, "lab", "exec", name, "--", *cmd)


def show(where, *cmd):
    out = inside(where, *cmd)
    print(paint("36", f"[{where}]# {' '.join(cmd)}"))
    print("\n".join("    " + line for line in out.splitlines()))
    return out


class Claims:
    def __init__(self):
        self.rows = []

    def line(self, what, text, pattern):
        """The document's line, as a regular expression, is one of text's lines (trailing blanks aside)."""
        for row in text.splitlines():
            if re.fullmatch(pattern, row.strip()):
                return self.add(what, row.strip(), True)
        near = [row.strip() for row in text.splitlines() if any(w in row for w in re.findall(r"[\w.:]{6,}", pattern.replace("\\", "")))]
        return self.add(what, near[0] if near else "no such line", False)

    def true(self, what, seen, ok):
        return self.add(what, seen, bool(ok))

    def add(self, what, seen, ok):
        self.rows.append((what, seen, ok))
        return ok

    def print(self):
        for what, seen, ok in self.rows:
            print(f"  {paint('32', '✓') if ok else paint('31;1', '✗')} {what}")
            print(paint("2", f"      {seen}"))
        bad = sum(not ok for _, _, ok in self.rows)
        return bad


def capture_request(claims):
    """tcpdump on node3's ens192 while pod A fetches the page from pod B, as in the document."""
    web = tempfile.mkdtemp(prefix="korat-web-")
    os.chmod(web, 0o755)
    with open(f"{web}/index.html", "w", encoding="utf-8") as f:
        f.write("Welcome to nginx on pod 10.8.152.200\n")
    conf = f"{web}/nginx.conf"
    with open(conf, "w", encoding="utf-8") as f:
        f.write(f"pid {web}/nginx.pid; error_log {web}/error.log; events {{}} http {{ access_log off; "
                f"client_body_temp_path {web}/b; proxy_temp_path {web}/p; fastcgi_temp_path {web}/f; uwsgi_temp_path {web}/u; scgi_temp_path {web}/s; "
                f"server {{ listen 80; root {web}; }} }}\n")
    inside(POD_B, "nginx", "-c", conf)
    dump = subprocess.Popen([KORAT, "lab", "exec", NODE3, "--", "tcpdump", "-l", "-ne", "-i", "ens192", "-c", "8", "host", B],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = dump.stderr.readline()
    while "listening on" not in line and line:
        line = dump.stderr.readline()
    listening = line.strip()
    print(paint("36", f"[{POD_A}]# curl {B}:80"))
    page = inside(POD_A, "curl", "-s", "--max-time", "5", f"http://{B}:80")
    print("    " + page.strip())
    try:
        out, _ = dump.communicate(timeout=3)
    except subprocess.TimeoutExpired:
        dump.terminate()
        out, _ = dump.communicate()
    print(paint("36", f"[{NODE3}]# tcpdump -ne -i ens192 host {B}"))
    print(f"    {listening}")
    for row in out.splitlines()[:4]:
        print("    " + row)
    claims.true("pod A fetches the page from pod B: curl 10.8.152.200:80", page.strip() or "nothing", "nginx" in page)
    syn = r"[\d:.]+ %s > %s, ethertype IPv4 \(0x0800\), length 74: 10\.8\.112\.2\.\d+ > 10\.8\.152\.200\.(http|80): Flags \[S\], .*"
    ack = r"[\d:.]+ %s > %s, ethertype IPv4 \(0x0800\), length 74: 10\.8\.152\.200\.(http|80) > 10\.8\.112\.2\.\d+: Flags \[S\.\], .*"
    claims.line("on node3's ens192: source MAC is node2's, destination MAC node3's, addresses are the pods' own (SYN)", out, syn % (MAC2, MAC3))
    claims.line("and back: node3's MAC to node2's MAC (SYN, ACK)", out, ack % (MAC3, MAC2))
    return web


def collect():
    claims = Claims()
    d = r"[\d]+"
    head("Pod 10.8.112.2")
    addr = show(POD_A, "ip", "addr")
    route = show(POD_A, "ip", "route")
    claims.line("pod A: eth0@ifN is up, mtu 1500", addr, rf"{d}: eth0@if{d}: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default")
    claims.line("pod A: inet 10.8.112.2/32 brd 10.8.112.2 scope global eth0", addr, r"inet 10\.8\.112\.2/32 brd 10\.8\.112\.2 scope global eth0")
    claims.line("pod A: default via 169.254.1.1 dev eth0", route, r"default via 169\.254\.1\.1 dev eth0")
    claims.line("pod A: 169.254.1.1 dev eth0 scope link", route, r"169\.254\.1\.1 dev eth0 scope link")
    claims.true("pod A: these are all its routes", f"{len(route.splitlines())} routes", len(route.splitlines()) == 2)

    head("The request, as captured on node3")
    capture_request(claims)

    head("The pod's neighbour")
    neigh = show(POD_A, "ip", "neigh")
    claims.line("pod A: 169.254.1.1 is answered with ee:ee:ee:ee:ee:ee", neigh, r"169\.254\.1\.1 dev eth0 lladdr ee:ee:ee:ee:ee:ee (STALE|REACHABLE|DELAY|PROBE)")

    head("node2, 172.16.67.138")
    addr2 = show(NODE2, "ip", "addr")
    route2 = show(NODE2, "ip", "route")
    neigh2 = show(NODE2, "ip", "neigh")
    node_claims(claims, "node2", addr2, MAC2, "172.16.67.138", "fe80::250:56ff:fe95:8d20", "cali459253b413d")
    claims.line("node2: blackhole 10.8.112.0/26 proto bird", route2, r"blackhole 10\.8\.112\.0/26 proto bird")
    claims.line("node2: 10.8.112.2 dev cali459253b413d scope link", route2, r"10\.8\.112\.2 dev cali459253b413d scope link")
    claims.line("node2: 10.8.152.192/26 via 172.16.67.139 dev ens192 proto bird", route2, r"10\.8\.152\.192/26 via 172\.16\.67\.139 dev ens192 proto bird")
    claims.line("node2: the connected route with metric 100", route2, r"172\.16\.67\.0/24 dev ens192 proto kernel scope link src 172\.16\.67\.138 metric 100")
    claims.true("node2: these are all its routes (and no default)", f"{len(route2.splitlines())} routes", len(route2.splitlines()) == 4)
    claims.line("node2: knows node3's MAC address", neigh2, r"172\.16\.67\.139 dev ens192 lladdr 00:50:56:95:58:0c (REACHABLE|STALE|DELAY|PROBE)")
    index = re.search(r"^(\d+): cali459253b413d@if(\d+):", addr2, re.M)
    pod = re.search(r"^(\d+): eth0@if(\d+):", addr, re.M)
    claims.true("the pair names each other: eth0@ifN is the host's index N, and back",
                f"pod {pod and pod[0]} host {index and index[0]}", index and pod and index[1] == pod[2] and index[2] == pod[1])

    head("node3, 172.16.67.139")
    addr3 = show(NODE3, "ip", "addr")
    route3 = show(NODE3, "ip", "route")
    show(NODE3, "ip", "neigh")
    node_claims(claims, "node3", addr3, MAC3, "172.16.67.139", "fe80::250:56ff:fe95:580c", "cali9e48d9de449")
    claims.line("node3: default via 172.16.67.1 dev ens192 proto static metric 100", route3, r"default via 172\.16\.67\.1 dev ens192 proto static metric 100")
    claims.line("node3: 10.8.112.0/26 via 172.16.67.138 dev ens192 proto bird", route3, r"10\.8\.112\.0/26 via 172\.16\.67\.138 dev ens192 proto bird")
    claims.line("node3: blackhole 10.8.152.192/26 proto bird", route3, r"blackhole 10\.8\.152\.192/26 proto bird")
    claims.line("node3: 10.8.152.200 dev cali9e48d9de449 scope link", route3, r"10\.8\.152\.200 dev cali9e48d9de449 scope link")
    claims.line("node3: the connected route with metric 100", route3, r"172\.16\.67\.0/24 dev ens192 proto kernel scope link src 172\.16\.67\.139 metric 100")
    claims.true("node3: these are all its routes", f"{len(route3.splitlines())} routes", len(route3.splitlines()) == 5)
    return claims


def node_claims(claims, node, addr, mac, ip, ll, cali):
    d = r"\d+"
    i = re.escape
    claims.line(f"{node}: ens192 is up, mtu 1500", addr, rf"{d}: ens192(@if{d})?: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc \w+ state UP group default qlen 1000")
    claims.line(f"{node}: ens192 has MAC {mac}", addr, rf"link/ether {i(mac)} brd ff:ff:ff:ff:ff:ff.*")
    claims.line(f"{node}: inet {ip}/24 brd 172.16.67.255 scope global noprefixroute ens192", addr, rf"inet {i(ip)}/24 brd 172\.16\.67\.255 scope global noprefixroute ens192")
    claims.line(f"{node}: inet6 {ll}/64 scope link", addr, rf"inet6 {i(ll)}/64 scope link")
    claims.line(f"{node}: {cali}@ifN is up, mtu 1500, noqueue", addr, rf"{d}: {cali}@if{d}: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default")
    claims.line(f"{node}: its MAC is ee:ee:ee:ee:ee:ee, its peer in another namespace", addr, rf"link/ether ee:ee:ee:ee:ee:ee brd ff:ff:ff:ff:ff:ff link-netns(id {d}| [\w-]+)")
    claims.line(f"{node}: inet6 fe80::ecee:eeff:feee:eeee/64 scope link", addr, r"inet6 fe80::ecee:eeff:feee:eeee/64 scope link")


def main():
    start = time.time()
    head("Bringing the network up: examples/seed.yaml")
    if subprocess.run([KORAT, "lab", "up", "--replace", os.path.join(TOP, "examples/seed.yaml")]).returncode:
        return 1
    claims = collect()
    head("Why it works: korat path 10.8.112.2 10.8.152.200")
    sys.stdout.flush()
    subprocess.run([KORAT, "path", A, B])
    head("The document, claim by claim")
    bad = claims.print()
    head(f"{len(claims.rows) - bad} of {len(claims.rows)} claims are true of this network ({time.time() - start:.0f} s)")
    rel = os.path.relpath(KORAT)
    print(f"""
The lab is up. Try:
  {rel} lab status                                     nodes, sessions, pods
  {rel} path {A} {B}                      every step of the way, both directions
  {rel} lab exec {POD_A} -- ping -c 3 {B}           from inside a pod
  {rel} lab exec {NODE2} -- ip route                    what a node sees
  {rel} lab up --replace examples/routed.yaml           what happens without a common network
Take it down:
  {rel} lab down""")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
