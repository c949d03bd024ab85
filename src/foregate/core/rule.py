"""Alert rules: a threshold on a piece of evidence, and what one day's evidence says about it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from foregate.core.evidence import Evidence

ROLLBACK = "rollback"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Severity(StrEnum):
    """How soon a person must act, the most urgent first."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class By(StrEnum):
    """What is held against the threshold: the interval's nearer end, or the point alone."""

    BOUND = "bound"
    VALUE = "value"


class Reading(StrEnum):
    """What one day's evidence says about a rule; `straddles` and `untold` both mean that it cannot tell.

    `band`: not in breach, and not yet back beyond the point where a firing alert may clear. `untold`: NaN or too few
    rows. `absent`: not measured.
    """

    BREACH = "breach"
    BAND = "band"
    FINE = "fine"
    STRADDLES = "straddles"
    UNTOLD = "untold"
    ABSENT = "absent"


_ORDER = list(Severity)


@dataclass(frozen=True, slots=True)
class Rule:
    """When to alert: evidence strictly beyond a threshold on `for_days` days of reading in a row.

    `subject`: the one tier, feature or source it is about; empty judges each subject that is measured: by itself, or
    without `per_subject` by the worst reading, for subjects that come and go like the version on standby.
    `clear_above`, `clear_below`: where the value must be back for a day to count as fine, so that a number that flaps
    around its threshold alerts once; without them a day is fine when the whole interval (by="bound") or the value is
    not beyond the threshold. `resolve_days`: fine days in a row that end an alert. `no_data_days`: calendar days
    without a reading after which there is no data. `inhibits`: rules that are muted while this one fires, as are those
    of lower severity in its `group`. Raises ValueError for a rule that could never alert, or always.

    >>> Rule("low_rate", "listed_rate", below=0.03, clear_below=0.02)
    Traceback (most recent call last):
    ValueError: clear_below 0.02 lies beyond below 0.03: say a number on its fine side
    """

    name: str
    evidence: str
    subject: str = ""
    per_subject: bool = True
    above: float | None = None
    below: float | None = None
    by: By = By.BOUND
    for_days: int = 1
    severity: Severity = Severity.WARNING
    group: str = ""
    inhibits: tuple[str, ...] = ()
    action: str = ""
    clear_above: float | None = None
    clear_below: float | None = None
    resolve_days: int = 1
    no_data_days: int = 7
    min_rows: int = 1
    why: str = ""

    def __post_init__(self) -> None:
        for wrong, words in (
            (not _NAME.fullmatch(self.name), f"name {self.name!r}: say a word of small letters, digits and _"),
            (not self.evidence, f"rule {self.name} without evidence: say the name of a measured number"),
            (self.above is None and self.below is None, f"rule {self.name} without threshold: say above or below"),
            (min(self.for_days, self.resolve_days, self.no_data_days) < 1, f"{self.name} counts days: say at least 1"),
            (self.by not in set(By), f"by {self.by!r}: say bound or value"),
            (self.severity not in set(Severity), f"severity {self.severity!r}: say critical, warning or info"),
            (self.action not in {"", ROLLBACK}, f"action {self.action!r}: say {ROLLBACK!r} or nothing"),
            (self.action and self.severity != Severity.CRITICAL, f"{ROLLBACK} at {self.severity}: say critical"),
        ):
            if wrong:
                raise ValueError(words)
        _check_thresholds(self)

    def wanted(self) -> str:
        """Return what the rule alerts on, in words.

        >>> Rule("low_rate", "listed_rate", below=0.03, for_days=2).wanted()
        'listed_rate below 0.03 with its whole interval on 2 days of reading in a row'
        """
        sides = [f"{side} {at:g}" for side, at in (("above", self.above), ("below", self.below)) if at is not None]
        sure = " with its whole interval" if self.by == By.BOUND else ""
        days = f" on {self.for_days} days of reading in a row" if self.for_days > 1 else ""
        return f"{self.evidence} {' or '.join(sides)}{sure}{days}"


def _check_thresholds(rule: Rule) -> None:
    for name in ("above", "below", "clear_above", "clear_below"):
        if (found := getattr(rule, name)) is not None and not math.isfinite(found):
            raise ValueError(f"{name} {found}: say a finite number")
    for name, beyond in (("above", 1), ("below", -1)):
        threshold, clear = getattr(rule, name), getattr(rule, f"clear_{name}")
        if clear is not None and threshold is None:
            raise ValueError(f"clear_{name} without {name}: say both")
        if clear is not None and beyond * (clear - threshold) > 0:
            raise ValueError(f"clear_{name} {clear:g} lies beyond {name} {threshold:g}: say a number on its fine side")
    if rule.above is not None and rule.below is not None and rule.below > rule.above:
        raise ValueError(
            f"below {rule.below:g} and above {rule.above:g} leave nothing that is fine: say below <= above"
        )


def read(rule: Rule, found: Evidence | None) -> Reading:
    """Return what a piece of evidence says about a rule: breach, fine, or why it cannot tell.

    A value at the threshold is no breach. NaN, or fewer rows than `min_rows`, is untold whatever the interval.

    >>> from datetime import date
    >>> from foregate.core.evidence import Unit
    >>> wide = Evidence("rate", 0.02, 300, date(2025, 10, 31), "x", 0.01, 0.05, Unit.RATE)
    >>> read(Rule("r", "rate", below=0.03), wide).value, read(Rule("r", "rate", below=0.03, by=By.VALUE), wide).value
    ('straddles', 'breach')
    """
    if found is None:
        return Reading.ABSENT
    low = found.value if found.low is None or rule.by == By.VALUE else found.low
    high = found.value if found.high is None or rule.by == By.VALUE else found.high
    if found.rows < rule.min_rows or any(map(math.isnan, (found.value, low, high))):
        return Reading.UNTOLD
    above = math.inf if rule.above is None else rule.above
    below = -math.inf if rule.below is None else rule.below
    if low > above or high < below:
        return Reading.BREACH
    return _not_breached(rule, found.value, high <= above, low >= below)


def _not_breached(rule: Rule, value: float, under: bool, over: bool) -> Reading:
    """Return fine, band or straddles; `under` and `over` say that the whole interval keeps to the thresholds."""
    clear_under = under if rule.clear_above is None else value <= rule.clear_above
    clear_over = over if rule.clear_below is None else value >= rule.clear_below
    if clear_under and clear_over:
        return Reading.FINE
    return Reading.BAND if under and over else Reading.STRADDLES


_WORST_FIRST = (Reading.BREACH, Reading.UNTOLD, Reading.STRADDLES, Reading.BAND, Reading.FINE)


def worst(rule: Rule, found: Iterable[Evidence]) -> Evidence | None:
    """Return the evidence that speaks most against the rule, what cannot tell before what is fine; None of none."""
    return min(found, key=lambda e: _WORST_FIRST.index(read(rule, e)), default=None)


def inhibitors(rules: Sequence[Rule]) -> dict[str, list[str]]:
    """Return, for each rule, the rules that mute it while they fire: by name, or more severe in the same group.

    >>> worse = Rule("a", "x", above=1, severity=Severity.CRITICAL, group="g")
    >>> inhibitors([worse, Rule("b", "y", above=1, group="g"), Rule("c", "z", above=1)])
    {'a': [], 'b': ['a'], 'c': []}
    """

    def mutes(one: Rule, other: Rule) -> bool:
        lower = _ORDER.index(one.severity) < _ORDER.index(other.severity)
        return other.name in one.inhibits or (bool(one.group) and one.group == other.group and lower)

    return {rule.name: [o.name for o in rules if o.name != rule.name and mutes(o, rule)] for rule in rules}
