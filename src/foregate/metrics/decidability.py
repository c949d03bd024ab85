"""Whether a comparison of two versions can be decided, and when, at the volumes that there are."""

import math
from typing import Literal, NamedTuple

from scipy.special import ndtri

from foregate.metrics.estimate import checked_level, critical

Criterion = Literal["better", "not_worse"]

# No list improves beyond this; a search for what can be told ends here.
LARGEST = 100.0


class ArmRows(NamedTuple):
    """How many leads each of two arms needs."""

    challenger: int
    champion: int


def _within(number: float, name: str) -> float:
    if not 0 < number < 1:
        raise ValueError(f"the {name} is {number}; wanted a number strictly between 0 and 1")
    return float(number)


def _hypotheses(effect: float, criterion: Criterion) -> tuple[float, float]:
    """Return the rate ratio that is to be ruled out and the one that is true."""
    if criterion == "better":
        if not (0 < effect < math.inf) or effect == 1:
            raise ValueError(f"the ratio is {effect}; wanted a number above 0 other than 1")
        return 1.0, float(effect)
    if criterion == "not_worse":
        return 1 - _within(effect, "margin"), 1.0
    raise ValueError(f"the criterion is {criterion!r}; wanted 'better' or 'not_worse'")


def _restricted(challenger: float, base: float, share: float, ratio: float) -> tuple[float, float]:
    """Return the likeliest pair of rates in the given ratio when these were seen, a `share` in the first arm."""
    hits, rest = share * challenger + (1 - share) * base, 1 - share
    linear = (share + rest * base) * ratio + share * challenger + rest
    second = 2 * hits / (linear + math.sqrt(max(0.0, linear * linear - 4 * ratio * hits)))
    return ratio * second, second


def _spread(challenger: float, base: float, share: float, ratio: float) -> float:
    """Return the standard error of challenger - ratio * base for one lead, a `share` of it in the first arm."""
    ours, theirs = challenger * (1 - challenger) / share, base * (1 - base) / (1 - share)
    return math.sqrt(max(0.0, ours + ratio * ratio * theirs))


def rows_to_decide(
    base_rate: float,
    effect: float,
    share: float = 0.5,
    power: float = 0.8,
    level: float = 0.95,
    criterion: Criterion = "better",
) -> ArmRows:
    """Return how many leads the challenger (a `share` of them) and the champion need for a verdict.

    Criterion `better`: `effect` is the true ratio of the rates, to be told from 1 (below 1, as worse).
    Criterion `not_worse`: `effect` is the margin; with equal rates the ratio is to be told from 1 - margin.
    The verdict is that the score interval of the ratio, at `level`, leaves that out; it comes with
    probability `power`. In equal arms and for `better` these are the rows of `two_rates_rows`. ValueError
    for a base rate, share, power, level or margin outside (0, 1), a ratio of 1, or a challenger's rate
    outside (0, 1). Farrington & Manning 1990, risk ratio, equation 8; Fleiss, Levin & Paik 2003, chapter 4.

    >>> rows_to_decide(0.0456, 1.25), rows_to_decide(0.0456, 0.1, criterion="not_worse").champion
    (ArmRows(challenger=5878, champion=5878), 29620)
    """
    ruled_out, true = _hypotheses(effect, criterion)
    base, share = _within(base_rate, "base rate"), _within(share, "share of the challenger")
    challenger = _within(base * true, "challenger's rate")
    null = _spread(*_restricted(challenger, base, share, ruled_out), share, ruled_out)
    chance = _spread(challenger, base, share, ruled_out)
    reach = critical(checked_level(level)) * null + float(ndtri(_within(power, "power"))) * chance
    leads = (reach / (challenger - ruled_out * base)) ** 2
    return ArmRows(math.ceil(leads * share), math.ceil(leads * (1 - share)))


def days_to_decide(
    base_rate: float,
    effect: float,
    leads_per_day: float,
    *,
    window_days: int,
    share: float = 0.5,
    swap_share: float = 1.0,
    power: float = 0.8,
    level: float = 0.95,
    criterion: Criterion = "better",
) -> int:
    """Return the days from the first enrolment until the verdict can come: enrolment, then the window.

    `leads_per_day` are those enrolled in either arm and `swap_share`, in (0, 1], the part of them which only
    one of the versions would have listed: 1 in a plain split of the leads, less when both versions are
    compared where their lists differ, and then `base_rate` and `effect` are of those leads. Rows as in
    `rows_to_decide`; the last enrolled lead is judged when it is `window_days` old. ValueError as there, and
    for leads a day not above 0, a swap share outside (0, 1], a negative window.

    >>> days_to_decide(0.0456, 1.5, 2800 / 30, window_days=43)
    78
    >>> days_to_decide(0.0456, 1.0592, 2800 / 30, window_days=43) // 30
    70
    """
    if not (0 < leads_per_day < math.inf and 0 < swap_share <= 1 and window_days >= 0):
        raise ValueError(
            f"found {leads_per_day} leads a day, swap share {swap_share}, window {window_days} days; "
            "wanted leads above 0, a share above 0 and at most 1, days of at least 0"
        )
    leads = sum(rows_to_decide(base_rate, effect, share, power, level, criterion))
    return math.ceil(leads / (leads_per_day * swap_share)) + math.ceil(window_days)


def decidable_ratio(
    base_rate: float,
    leads_per_day: float,
    *,
    window_days: int,
    days: int,
    share: float = 0.5,
    swap_share: float = 1.0,
    power: float = 0.8,
    level: float = 0.95,
) -> float:
    """Return the smallest ratio above 1 that can be told within so many days, infinite if none can.

    The other way round from `days_to_decide`, with the criterion `better` and the same arguments: what to
    offer when a plan asks for more than its window can tell. None below 100 or below certainty for the
    challenger counts as none. ValueError as there.

    >>> round(decidable_ratio(0.0456, 2800 / 30, window_days=43, days=78), 2)
    1.5
    """
    most = min(LARGEST, 1 / _within(base_rate, "base rate")) * (1 - 1e-9)

    def needed(ratio: float) -> int:
        return days_to_decide(
            base_rate,
            ratio,
            leads_per_day,
            window_days=window_days,
            share=share,
            swap_share=swap_share,
            power=power,
            level=level,
        )

    if needed(most) > days:
        return math.inf
    low, high = 1.0, most
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if middle > 1 and needed(middle) <= days else (middle, high)
    return high
