"""The speaker's socket under bad hands: nonsense, foreign descriptors, other users, a second agent; and what a confined process may do."""
import array
import os
import pathlib
import re
import socket
import struct
import subprocess
import time

import pytest

import ipc

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("KORAT_BUILD", TOP / "build"))
DRIVE = BUILD / "tests/netns/speaker_drive"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not DRIVE.exists(), reason="speaker_drive is not built"),
]

HELLO = ipc.header("HELLO") + struct.pack(">IQB", 1, 0, 0)
LISTEN = ipc.header("LISTEN") + bytes([4, 0, 0, 0, 0]) + struct.pack(">H", 17900)


@pytest.fixture
def drive(tmp_path):
    path = tmp_path / "speaker.sock"
    p = subprocess.Popen([str(DRIVE), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                         bufsize=1)
    pid = int(re.search(r"speaker pid (\d+)", p.stdout.readline())[1])
    p.path, p.speaker = path, pid
    p.stdin.write("config 64512 10.0.0.1\norigin 10.8.1.0/26\nstated\n")
    expect(p, "route 10.8.1.0/26 own")
    yield p
    p.kill()
    p.wait(10)
    try:
        os.kill(pid, 15)
    except ProcessLookupError:
        pass


def expect(p, text):
    for line in p.stdout:
        if text in line:
            return line
    raise AssertionError(f"the speaker ended before it said: {text}")


def connect(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(str(path))
    s.settimeout(10)
    return s


def answer(s):
    """b'' if it hung up."""
    try:
        return s.recv(65536)
    except ConnectionResetError:
        return b""


def still_serves(p):
    p.stdin.write("dump\n")
    expect(p, "dump-end")


def test_nonsense_is_hung_up_on(drive):
    for bad in (b"", b"x", bytes([ipc.VERSION + 1, 1]), HELLO[:-1], HELLO + b"x", bytes([ipc.VERSION, 200]), ipc.header("STATED"), os.urandom(4000), b"\0" * 60000):
        s = connect(drive.path)
        s.send(bad)
        assert answer(s) == b""
    still_serves(drive)


def test_many_silent_connections(drive):
    held = [connect(drive.path) for _ in range(40)]
    still_serves(drive)
    assert held


def test_another_agent_takes_over(drive):
    s = connect(drive.path)
    s.send(HELLO)
    assert s.recv(65536)[:2] == HELLO[:2]
    assert any(ipc.header("ROUTE") in s.recv(65536) for _ in range(3))
    expect(drive, "speaker gone")


def send_fd(s, message, fds):
    s.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


def agent(drive):
    """A new agent, and on how many addresses the speaker says it listens."""
    time.sleep(0.2)
    s = connect(drive.path)
    s.send(HELLO)
    return s, s.recv(65536)[14]


def test_only_the_right_socket_is_listened_on(drive):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    other = socket.create_server(("127.0.0.1", 0))
    good = socket.create_server(("0.0.0.0", 17900))
    s, _ = agent(drive)
    s.send(LISTEN)  # without any
    for fd in (udp.fileno(), plain.fileno(), other.fileno(), os.open("/dev/null", os.O_RDONLY)):
        send_fd(s, LISTEN, [fd])
    s, n = agent(drive)
    assert n == 0
    send_fd(s, LISTEN, [good.fileno(), udp.fileno(), udp.fileno()])
    s, n = agent(drive)
    assert n == 1
    before = len(os.listdir(f"/proc/{drive.speaker}/fd"))
    for _ in range(50):
        send_fd(s, LISTEN, [good.fileno()])
        send_fd(s, HELLO, [udp.fileno()])
    time.sleep(0.3)
    assert len(os.listdir(f"/proc/{drive.speaker}/fd")) == before


def test_other_users_are_kept_out(drive):
    code = f"import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect({str(drive.path)!r})"
    r = subprocess.run(["setpriv", "--reuid=12345", "--clear-groups", "/usr/bin/python3", "-c", code], capture_output=True, text=True)
    assert "PermissionError" in r.stderr
    os.chmod(drive.path, 0o666)
    for d in drive.path.parents:
        if d != pathlib.Path("/") and d != pathlib.Path("/tmp"):
            os.chmod(d, 0o755)
    code += f"; s.settimeout(10); s.send({ipc.header('HELLO')} + bytes(13)); print(len(s.recv(1000)))"
    r = subprocess.run(["setpriv", "--reuid=12345", "--clear-groups", "/usr/bin/python3", "-c", code], capture_output=True, text=True)
    assert r.stdout.strip() in ("", "0"), r.stderr
    still_serves(drive)


def test_confinement(drive):
    status = dict(line.split(":", 1) for line in open(f"/proc/{drive.speaker}/status"))
    assert status["Uid"].split() == ["65534"] * 4 and status["Gid"].split() == ["65534"] * 4
    assert status["Groups"].strip() == ""
    for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[caps], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    if b"__asan_init" not in DRIVE.read_bytes():
        assert status["Seccomp"].strip() == "2"
    assert os.readlink(f"/proc/{drive.speaker}/cwd") == "/"
    kinds = {os.readlink(f"/proc/{drive.speaker}/fd/{fd}").split(":")[0] for fd in os.listdir(f"/proc/{drive.speaker}/fd")
             if int(fd) > 2}
    assert kinds <= {"socket", "anon_inode", "pipe"}


def test_a_second_speaker_is_told_off(drive):
    p = subprocess.Popen([str(DRIVE), str(drive.path)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                         text=True)
    assert f"another speaker is running on {drive.path}" in p.stderr.readline()
    p.communicate("quit\n", timeout=20)
