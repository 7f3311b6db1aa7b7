#!/usr/bin/python3
"""The matrix as the table of docs/interop.md; `tests/netns/matrix/table.py --write` writes it there."""
import pathlib
import sys

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from matrix import DAEMONS
from matrix.cells import CELLS
from matrix.speaker import TOP

DOCUMENT = TOP / "docs/interop.md"
BEGIN, END = "<!-- the matrix: begin -->\n", "<!-- the matrix: end -->\n"


def entry(cell, daemon, reasons):
    for table, sign in ((cell.lacks, "–"), (cell.without, "○"), (cell.partly, "◐")):
        if why := table.get(daemon.name):
            if why not in reasons:
                reasons.append(why)
            return f"{sign} {reasons.index(why) + 1}"
    return "●"


def table():
    reasons = []
    lines = ["| cell | " + " | ".join(f"{d.title} {d.version}" for d in DAEMONS) + " |", "|---|" + "---|" * len(DAEMONS)]
    for c in CELLS:
        lines.append(f"| {c.what} (`{c.name}`) | " + " | ".join(entry(c, d, reasons) for d in DAEMONS) + " |")
    lines += ["", *(f"{i}. {why}." for i, why in enumerate(reasons, 1))]
    return "\n".join(lines) + "\n"


def parts(text):
    """What is before the table, the table, and what is after it."""
    before, rest = text.split(BEGIN)
    now, after = rest.split(END)
    return before, now, after


def main():
    before, _, after = parts(DOCUMENT.read_text())
    text = before + BEGIN + table() + END + after
    if "--write" in sys.argv:
        DOCUMENT.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
