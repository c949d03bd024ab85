"""A made-up funnel of financial advisers whose truth is known, written as CSV files.

Leads come through 24 sources, at levels that wander and twice shift; some become MQLs, SQLs, SQOs, each step with its
own rate and delay (`catalogue.py`, `truth.py`). The files hold what had happened by a day (`laying.py`), and a trap
plants one fault on purpose. `oracle_paths` draws what comes next as the world itself does: the best that any forecast
can be compared with.
"""

from .catalogue import AS_OF, END, SEGMENTS, SERIES, STAGES, START, Kind
from .laying import RENAMED, Trap, lay, lay_world
from .oracle import oracle_paths
from .truth import Truth, unfold

__all__ = [
    "AS_OF",
    "END",
    "RENAMED",
    "SEGMENTS",
    "SERIES",
    "STAGES",
    "START",
    "Kind",
    "Trap",
    "Truth",
    "lay",
    "lay_world",
    "oracle_paths",
    "unfold",
]
