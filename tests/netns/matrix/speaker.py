"""Our side: a speaker without an agent, under speaker_drive (its source says what can be said to it)."""
import os
import pathlib
import re
import signal
import subprocess
import threading

from .net import inside, wait_for

TOP = pathlib.Path(__file__).resolve().parent.parent.parent.parent
BUILD = pathlib.Path(os.environ.get("KORAT_BUILD", TOP / "build"))
DRIVE = BUILD / "tests/netns/speaker_drive"


class State(dict):
    """One line about a peer: {"state": "Established", "hold": 90, "agreed": {...}, ...}. Empty if nothing was said about it."""

    @classmethod
    def parse(cls, line):
        m = re.match(r"peer (\S+) (\S+) hold (?P<hold>\d+) families (?P<families>\d+) received (?P<received>\d+) "
                     r"accepted (?P<accepted>\d+) advertised (?P<advertised>\d+) updates (?P<updates_in>\d+) (?P<updates_out>\d+) "
                     r"flaps (?P<flaps>\d+) rejected (?P<rejected>\d+) stale (?P<stale>\d+) agreed(?: (\S+))? reason ?(.*)$", line)
        assert m, f"speaker_drive printed what is not understood: {line}"
        words = m.groups()
        agreed = re.search(r" agreed (\S+) reason", line)
        return cls({k: int(v) for k, v in m.groupdict().items()}, state=m[2], reason=words[-1],
                   agreed=set(agreed[1].split(",")) if agreed else set())

    @property
    def up(self):
        return self.get("state") == "Established"


class Path:
    """One row of a dump: what one peer says about a prefix, in attributes of the field's own names."""

    def __init__(self, line):
        m = re.match(r"path (\S+) via (\S+) from (\S+) id (\d+) pref (\d+) aslen (\d+) first (\d+) med (\d+)(.*?) \[(.*)\]: (.*)$", line)
        assert m, f"speaker_drive printed what is not understood: {line}"
        self.prefix, self.via, self.peer, self.text, self.why = m[1], m[2], m[3], m[10], m[11]
        self.path_id, self.local_pref, self.med = int(m[4]), int(m[5]), int(m[8])
        self.best, self.stale = " best" in m[9], " stale" in m[9]
        self.attrs = dict((x.split(" ", 1) + [""])[:2] for x in m[10].split(", "))

    def words(self, name):
        return set(self.attrs.get(name, "").split())

    @property
    def as_path(self):
        return [int(x) for x in self.attrs.get("as-path", "").split() if x.isdigit()]

    def __repr__(self):
        return f"{self.prefix} via {self.via} from {self.peer} id {self.path_id} [{self.text}]: {self.why}"


class Speaker:
    def __init__(self, where, path, asn, router_id, config=""):
        self.where, self.sock = where, path
        self.config = f"config {asn} {router_id} {config}".strip()
        self.held = {}          # next hops that a test answers for itself
        self.proc = None
        self.start()

    def start(self):
        self.lines, self.table, self.peers, self.dumps = [], {}, {}, [[]]
        self.changes = []       # every route and gone, in order
        self.proc = subprocess.Popen(inside(self.where, DRIVE, self.sock), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                     bufsize=1)
        self.reader = threading.Thread(target=self._read, args=(self.proc,), daemon=True)
        self.reader.start()
        self.say(self.config, "listen 179")

    def _read(self, proc):
        for line in proc.stdout:
            self._hear(line.split(" ", 1)[1].strip())

    def _hear(self, line):
        self.lines.append(line)
        w = line.split(" ", 2)
        if w[0] == "route":
            self.table[w[1]] = w[2]
            self.changes.append(line)
        elif w[0] == "gone":
            self.table.pop(w[1], None)
            self.changes.append(line)
        elif w[0] == "peer":
            self.peers[w[1]] = line
        elif w[0] == "path":
            self.dumps[-1].append(line)
        elif w[0] == "dump-end":
            self.dumps.append([])
        elif w[0] == "watch" and w[1] not in self.held:
            self.say(f"nexthop {w[1]} up metric 0 dev eth0")

    def say(self, *lines):
        self.proc.stdin.write("".join(f"{x}\n" for x in lines))
        self.proc.stdin.flush()

    def routes(self):
        return dict(self.table)

    def peer(self, addr):
        line = self.peers.get(addr)
        return State.parse(line) if line else State()

    def up(self, *addrs):
        return all(self.peer(a).up for a in addrs)

    def dump(self, prefix):
        """All paths of a prefix, as the speaker holds them now."""
        n = len(self.dumps)
        self.say(f"dump {prefix}")
        wait_for("a dump", lambda: len(self.dumps) > n)
        return [Path(x) for x in self.dumps[n - 1]]

    def path(self, prefix, peer=None):
        """The one path of a prefix (from a peer), or None."""
        found = [p for p in self.dump(prefix) if peer in (None, p.peer)]
        return found[0] if found else None

    def kill(self):
        self._quit("quit kill")

    def stop(self):
        """An orderly end: nothing leaked, nothing wrong was found by a sanitizer on the way."""
        if self.proc.poll() is None:
            self._quit("quit")
            assert "ended 0" in self.lines[-3:], self.lines[-3:]

    def _quit(self, how):
        self.say(how)
        try:
            self.proc.wait(20)
        except subprocess.TimeoutExpired:
            self.proc.send_signal(signal.SIGKILL)
            raise
        self.reader.join(5)
        self.proc.stdin.close()
        self.proc.stdout.close()
