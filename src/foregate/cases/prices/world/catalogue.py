"""What the made-up market consists of: its commodities, its two states, its holidays, and how a project declares it."""

from __future__ import annotations

from datetime import date
from typing import Final, NamedTuple

from foregate.cases.prices.trading_days import EASTER, FIXED, NTH, Holiday

START: Final = date(2010, 1, 4)
END: Final = date(2027, 12, 31)
"""The last day of the world: files laid as of any day before it can be compared with what came after."""
AS_OF: Final = date(2025, 10, 31)
INDEX: Final = "volatility_index"


class Commodity(NamedTuple):
    """A commodity: its first price, its drift a trading day in logarithms, its volatility in the calm and wild state.

    `volatility` is the standard deviation of a day's logarithmic return; `published` is after how many trading days a
    price is known; `digits` are those of a printed price.
    """

    name: str
    unit: str
    price: float
    drift: float
    volatility: tuple[float, float]
    published: int
    digits: int


COMMODITIES: Final = (
    Commodity("crude", "USD per barrel", 70.0, 0.0, (0.011, 0.028), 1, 2),
    Commodity("gas", "USD per million BTU", 4.2, 0.0, (0.018, 0.045), 2, 4),
    Commodity("copper", "USD per tonne", 5200.0, 0.0004, (0.007, 0.017), 0, 1),
)
"""The last one rises by a tenth a year."""

ENTERS_WILD: Final = 1 / 200
LEAVES_WILD: Final = 1 / 50
"""The chances of a day that the market leaves its state: it is wild one day in five, for 50 days on average."""
SHARED: Final = 0.5
"""The correlation of two commodities' returns of a day."""

HOLIDAYS: Final = (
    Holiday(FIXED, 1, 1, sunday=True),
    Holiday(NTH, 1, 0, 3),
    Holiday(NTH, 2, 0, 3),
    Holiday(EASTER, -2),
    Holiday(NTH, 5, 0, -1),
    Holiday(FIXED, 7, 4, saturday=True, sunday=True),
    Holiday(NTH, 9, 0, 1),
    Holiday(NTH, 11, 3, 4),
    Holiday(FIXED, 12, 25, saturday=True, sunday=True),
)

_SERIES: Final = "".join(
    f"""
[sources.{one.name}]
file = "data/{one.name}.csv"
key = "day"
known = "published_on"
columns = {{ day = "DATE", price = "DOUBLE", published_on = "DATE" }}

[prices.series.{one.name}]
source = "{one.name}"
day = "day"
price = "price"
unit = "{one.unit}"
bounds = [{one.price / 100:g}, {one.price * 100:g}]
fresh_days = 7
"""
    for one in COMMODITIES
)
DECLARED: Final = f"""{_SERIES}
[sources.{INDEX}]
file = "data/{INDEX}.csv"
key = "day"
known = "published_on"
columns = {{ day = "DATE", value = "DOUBLE", published_on = "DATE" }}

[prices.exogenous.{INDEX}]
source = "{INDEX}"
day = "day"
value = "value"
"""
"""[sources.*], [prices.series.*] and [prices.exogenous.*] of a foregate.toml over the files laid in data/."""
