"""A BGP speaker that does whatever a test tells it to, from inside a network namespace.

Nothing here is a model of how a speaker should behave: it sends bytes, and says what came back.
"""
import contextlib
import ctypes
import os
import socket
import struct
import threading
import time

MARKER = b"\xff" * 16
OPEN, UPDATE, NOTIFICATION, KEEPALIVE, REFRESH = range(1, 6)
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


@contextlib.contextmanager
def inside(name):
    """This thread in the namespace korat-NAME; sockets made here stay there."""
    with open("/proc/thread-self/ns/net", encoding="ascii") as back, open(f"/run/netns/korat-{name}", encoding="ascii") as there:
        assert LIBC.setns(there.fileno(), CLONE_NEWNET) == 0
        try:
            yield
        finally:
            assert LIBC.setns(back.fileno(), CLONE_NEWNET) == 0


def msg(kind, body=b""):
    return MARKER + struct.pack(">HB", 19 + len(body), kind) + body


def ip(text):
    return socket.inet_aton(text)


def capability(code, value=b""):
    return bytes([2, 2 + len(value), code, len(value)]) + value


def capabilities(asn, *more):
    """What a plain peer of this AS says it can, and whatever else."""
    return capability(1, b"\0\1\0\1") + capability(2) + capability(65, struct.pack(">I", asn)) + b"".join(more)


CAPABILITIES = capabilities(64512)


def open_body(router_id, asn=64512, hold=240, params=CAPABILITIES, version=4):
    return struct.pack(">BHH", version, asn, hold) + ip(router_id) + bytes([len(params)]) + params


def attribute(code, value, flags=0x40):
    if len(value) > 255:
        return struct.pack(">BBH", flags | 0x10, code, len(value)) + value
    return struct.pack(">BBB", flags, code, len(value)) + value


def attributes(nexthop, path=(), extra=b"", local_pref=100):
    segment = struct.pack(">BB", 2, len(path)) + struct.pack(f">{len(path)}I", *path) if path else b""
    return (attribute(1, b"\0") + attribute(2, segment) + attribute(3, ip(nexthop)) + attribute(5, struct.pack(">I", local_pref)) + extra)


def prefix(text):
    addr, bits = text.split("/")
    return bytes([int(bits)]) + ip(addr)[:(int(bits) + 7) // 8]


def update(prefixes=(), attrs=b"", withdrawn=(), raw=b""):
    gone = b"".join(map(prefix, withdrawn))
    return msg(UPDATE, struct.pack(">H", len(gone)) + gone + struct.pack(">H", len(attrs)) + attrs + b"".join(map(prefix, prefixes)) + raw)


def _prefixes(data):
    at = 0
    while at < len(data):
        size = (data[at] + 7) // 8
        yield socket.inet_ntoa(data[at + 1:at + 1 + size].ljust(4, b"\0")) + f"/{data[at]}"
        at += 1 + size


def parse_update(body):
    """(withdrawn, announced) IPv4 prefixes of an UPDATE."""
    gone = struct.unpack(">H", body[:2])[0]
    attrs = struct.unpack(">H", body[2 + gone:4 + gone])[0]
    return list(_prefixes(body[2:2 + gone])), list(_prefixes(body[4 + gone + attrs:]))


def flood(n, attrs, base="100.64.0.0", size=700):
    """UPDATEs that announce n host routes from base on."""
    first, out = struct.unpack(">I", ip(base))[0], []
    for at in range(0, n, size):
        nlri = b"".join(b"\x20" + struct.pack(">I", first + i) for i in range(at, min(n, at + size)))
        out.append(msg(UPDATE, struct.pack(">HH", 0, len(attrs)) + attrs + nlri))
    return b"".join(out)


class Peer:
    """One TCP connection. Every way it can end reads as None from read()."""

    def __init__(self, source, to, where="evil", port=179):
        self.source, self.buf = source, b""
        with inside(where):
            self.s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.s.settimeout(5)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if to:
            self.s.bind((source, 0))
            self.s.connect((to, port))

    @classmethod
    def accepted(cls, listener):
        p = cls.__new__(cls)
        p.s, _ = listener.accept()
        p.s.settimeout(5)
        p.source, p.buf = p.s.getsockname()[0], b""
        return p

    def send(self, data):
        """False if the other side has closed."""
        try:
            self.s.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError, ConnectionAbortedError):
            return False

    def read(self, seconds=5):
        """The next message as (type, body), or None at the end."""
        end = time.monotonic() + seconds
        while len(self.buf) < 19 or len(self.buf) < struct.unpack(">H", self.buf[16:18])[0]:
            self.s.settimeout(max(0.001, end - time.monotonic()))
            try:
                more = self.s.recv(65536)
            except ConnectionResetError:
                return None
            if not more:
                return None
            self.buf += more
        n = struct.unpack(">H", self.buf[16:18])[0]
        m, self.buf = self.buf[:n], self.buf[n:]
        assert m[:16] == MARKER
        return m[18], m[19:]

    def until(self, kind, seconds=5):
        """The body of the next message of a type; None if the connection ends before it."""
        end = time.monotonic() + seconds
        while True:
            m = self.read(end - time.monotonic())
            if m is None or m[0] == kind:
                return m and m[1]

    def notification(self, seconds=5):
        """(code, subcode) that the connection ends with; None if it ends without."""
        body = self.until(NOTIFICATION, seconds)
        return body and (body[0], body[1])

    def closed(self, seconds=5):
        while self.read(seconds) is not None:
            pass
        return True

    def start(self, **kw):
        """OPEN both ways."""
        assert self.send(msg(OPEN, open_body(kw.pop("router_id", self.source), **kw)))
        assert self.until(OPEN) is not None, "no OPEN came back"
        return self

    def up(self, **kw):
        """To Established."""
        self.start(**kw)
        assert self.send(msg(KEEPALIVE))
        assert self.until(KEEPALIVE) is not None
        return self

    def close(self):
        self.s.close()

    def reset(self):
        """RST instead of FIN."""
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.s.close()


class Steady(threading.Thread):
    """An honest peer with a hold time of three seconds, which it keeps as a speaker does: whoever is silent for longer has lost it.

    It knows the IPv4 prefixes it has been told of and were not withdrawn again.
    """
    HOLD = 3

    def __init__(self, source, to, where="evil", asn=64512):
        super().__init__(daemon=True)
        self.peer = Peer(source, to, where).up(hold=self.HOLD, asn=asn, params=capabilities(asn))
        self.peer.send(update())  # End-of-RIB
        self.ended, self.longest, self.over, self.known = None, 0.0, False, set()
        self.asn, self.lock = asn, threading.Lock()

    def say(self, data):
        with self.lock:
            return self.peer.send(data)

    def announce(self, *prefixes):
        assert self.say(update(prefixes, attributes(self.peer.source, path=[self.asn])))

    def hear(self, m):
        if m is None or m[0] == NOTIFICATION:
            self.ended = m or "closed"
        elif m[0] == UPDATE:
            gone, said = parse_update(m[1])
            self.known.difference_update(gone)
            self.known.update(said)

    def run(self):
        heard = said = time.monotonic()
        while not self.over and not self.ended:
            now = time.monotonic()
            if now - said > 0.8:
                said = now
                self.say(msg(KEEPALIVE))
            try:
                self.hear(self.peer.read(0.2))
            except (TimeoutError, socket.timeout):
                self.longest = max(self.longest, time.monotonic() - heard)
                if self.longest > self.HOLD:
                    self.ended = "hold timer expired"
                continue
            self.longest, heard = max(self.longest, time.monotonic() - heard), time.monotonic()

    def stop(self):
        self.over = True
        self.join(5)
        self.peer.close()


def listener(source, where="evil"):
    with inside(where):
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((source, 179))
    s.listen(256)
    s.settimeout(10)
    return s


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack(f">{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


def segment(src, dst, sport, dport, seq, flags):
    """An IPv4 packet with a TCP segment without data."""
    tcp = struct.pack(">HHIIBBHHH", sport, dport, seq & 0xffffffff, 0, 5 << 4, flags, 65535, 0, 0)
    tcp = tcp[:16] + struct.pack(">H", checksum(ip(src) + ip(dst) + struct.pack(">BBH", 0, 6, len(tcp)) + tcp)) + tcp[18:]
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, ip(src), ip(dst))
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + tcp


def raw_socket(where):
    with inside(where):
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)


def rss(pid):
    """Resident MiB."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


def cpu(pid):
    """Seconds of processor time so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
