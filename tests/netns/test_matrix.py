"""The speaker against six real daemons, feature by feature: tests/netns/matrix has the daemons, the rows and how they are run.

docs/interop.md is this table with what was found; a test compares them.
"""
import concurrent.futures
import copy
import os
import pathlib

import pytest

from matrix import DAEMONS, table
from matrix.cells import CELLS, Context, not_offered, statics
from matrix.net import Net
from matrix.speaker import DRIVE

BY_NAME = {d.name: d for d in DAEMONS}

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not DRIVE.exists(), reason="speaker_drive is not built"),
]


def sessions_of(daemon):
    """Every cell's sessions with their numbers, {cell name: [Session]}."""
    table, n = {}, 0
    for c in CELLS:
        table[c.name] = []
        for s in c.sessions:
            n += 1
            s = copy.copy(s)
            s.n, s.number = n, daemon.number
            table[c.name].append(s)
    return table


class Column:
    """One daemon and its cells. They run one after the other, in a thread of their own: columns do not wait for each other, and most
    of a cell is waiting."""

    def __init__(self, cls, path):
        self.cls, self.path, self.running, self.cells = cls, path, None, {}
        self.sessions = sessions_of(cls)
        self.thread = concurrent.futures.ThreadPoolExecutor(1)

    def size(self):
        return sum(map(len, self.sessions.values()))

    def submit(self, cell):
        self.cells[cell.name] = self.thread.submit(self.run, cell)

    def run(self, cell):
        if not self.running:
            usable = [s for c in CELLS if self.cls.name not in c.lacks for s in self.sessions[c.name]]
            self.running = self.cls(self.path / self.cls.name, usable, statics(self.cls.number))
            self.running.start()
        path = self.path / f"{self.cls.name}-{cell.name}"
        path.mkdir()
        c = Context(self.running, self.sessions[cell.name], path)
        try:
            if self.cls.name in cell.without:
                not_offered(c, cell.offer, cell.agreed)
            else:
                cell.run(c)
        finally:
            c.end()

    def end(self):
        self.thread.shutdown(cancel_futures=True)
        if self.running:
            self.running.stop()


@pytest.fixture(scope="module")
def columns(tmp_path_factory, request):
    path = tmp_path_factory.mktemp("matrix")
    table = {d.name: Column(d, path) for d in DAEMONS}
    net = Net({name: (c.cls.number, c.size()) for name, c in table.items()})
    try:
        net.up()
        for item in request.session.items:
            if item.function is test_cell and not cannot(item.callspec.params["daemon"], item.callspec.params["cell"]):
                table[item.callspec.params["daemon"]].submit(item.callspec.params["cell"])
        yield table
    finally:
        for c in table.values():
            c.end()
        net.down()


def cannot(daemon, cell):
    """Why this cell is not run, or nothing."""
    if not pathlib.Path(BY_NAME[daemon].program).exists():
        return f"{daemon} is not there: run tools/packages test"
    return f"{daemon} lacks {cell.name}: {cell.lacks[daemon]}" if daemon in cell.lacks else ""


@pytest.mark.parametrize("daemon, cell", [pytest.param(d.name, c, id=f"{d.name}-{c.name}") for d in DAEMONS for c in CELLS])
def test_cell(columns, daemon, cell):
    if why := cannot(daemon, cell):
        pytest.skip(why)
    columns[daemon].cells[cell.name].result()


def test_the_document_is_this_table():
    _, now, _ = table.parts(table.DOCUMENT.read_text())
    assert now == table.table(), "run tests/netns/matrix/table.py --write"
