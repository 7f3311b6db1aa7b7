"""The matrix: Korat's speaker against six other daemons, in network namespaces.

    net.py      namespaces, addresses, running things in them
    speaker.py  our side: a speaker under speaker_drive
    peer.py     what a cell can ask of any daemon, and the values they share
    bird.py frr.py gobgp.py exabgp.py openbgpd.py      one daemon each
    cells.py    the rows: one function each, with what a daemon lacks and why
    table.py    the table in docs/interop.md
"""
from .bird import Bird1, Bird2
from .exabgp import Exabgp
from .frr import Frr
from .gobgp import Gobgp
from .openbgpd import Openbgpd

DAEMONS = [Bird2, Bird1, Frr, Gobgp, Exabgp, Openbgpd]
