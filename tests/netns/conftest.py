"""Labs for tests: brought up by `korat lab`, taken down whatever happens.

The programs are those of $KORAT_BUILD (default: build/). Everything lives in namespaces prefixed korat-, and only processes that
the lab or a test started are ended.
"""
import json
import os
import pathlib
import subprocess
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("KORAT_BUILD", TOP / "build"))
KORAT = str(BUILD / "korat")


def run(*cmd, check=True, timeout=60, **kw):
    r = subprocess.run([str(c) for c in cmd], capture_output=True, text=True, timeout=timeout, **kw)
    if check and r.returncode:
        raise AssertionError(f"{' '.join(map(str, cmd))}: exit {r.returncode}\n{r.stdout}{r.stderr}")
    return r


def wait_for(what, probe, seconds=15, every=0.05):
    """Polls until probe() is true and returns its value; no timed assertion, only a generous limit."""
    end = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for: {what}")
        time.sleep(every)


class Lab:
    def __init__(self, *args):
        self.args = args

    def up(self):
        run(KORAT, "lab", "up", "--replace", *self.args, timeout=180)
        return self

    def down(self):
        run(KORAT, "lab", "down", check=False, timeout=120)

    def exec(self, name, *cmd, check=True, **kw):
        return run(KORAT, "lab", "exec", name, "--", *cmd, check=check, **kw).stdout

    def routes(self, node, family="-4"):
        return [line.strip() for line in self.exec(node, "ip", family, "route").splitlines()]

    def status(self, node):
        import socket
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(f"/run/korat/lab/nodes/{node}/agent.sock")
            s.sendall(b'{"method":"status","params":{}}\n')
            data = b""
            while not data.endswith(b"\n"):
                more = s.recv(65536)
                if not more:
                    break
                data += more
        return json.loads(data)["result"]

    def path(self, a, b):
        r = run(KORAT, "path", a, b, "-o", "json", check=False)
        return r.returncode, json.loads(r.stdout)

    def wait_route(self, node, route, family="-4", present=True, seconds=15):
        wait_for(f"{route!r} {'on' if present else 'gone from'} {node} (has {self.routes(node, family)})",
                 lambda: (route in self.routes(node, family)) == present, seconds)


def lab_fixture(*args):
    @pytest.fixture(scope="module")
    def lab():
        lab = Lab(*args)
        try:
            yield lab.up()
        finally:
            lab.down()
    return lab


@pytest.fixture
def new_lab():
    """A lab of the test's own: new_lab(args...) brings it up."""
    made = []

    def make(*args):
        made.append(Lab(*args))
        return made[-1].up()

    yield make
    for lab in made:
        lab.down()
