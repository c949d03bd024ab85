"""Made-up prices whose truth is known, written as CSV files: nothing in here reads a real price.

Three commodities share a market that is calm or wild, by a Markov chain; each drifts by its own known rate, and an
index of volatility knows no more than its own day and those before (`truth.py`). The files hold what had been published
by a day (`laying.py`), and a trap plants one fault into files that lie there already (`traps.py`).
"""

from .catalogue import AS_OF, COMMODITIES, DECLARED, END, INDEX, START, Commodity
from .laying import lay, lay_world
from .traps import TRAPS
from .truth import Truth, trading_days, truth

__all__ = [
    "AS_OF",
    "COMMODITIES",
    "DECLARED",
    "END",
    "INDEX",
    "START",
    "TRAPS",
    "Commodity",
    "Truth",
    "lay",
    "lay_world",
    "trading_days",
    "truth",
]
