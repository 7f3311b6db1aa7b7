"""Numbers of the protocol between agent and speaker, read from its header: TYPE["HELLO"], VERSION."""
import pathlib
import re

_TEXT = (pathlib.Path(__file__).resolve().parent.parent.parent / "src/bgp/ipc.h").read_text()
VERSION = int(re.search(r"#define IPC_VERSION\s+(\d+)", _TEXT)[1])
_ENUM = re.search(r"enum ipc_type \{(.*?)\};", _TEXT, re.S)[1]
TYPE = {name: n for n, name in enumerate(re.findall(r"^\s*IPC_(\w+)", _ENUM, re.M), 1)}


def header(name):
    return bytes([VERSION, TYPE[name]])
