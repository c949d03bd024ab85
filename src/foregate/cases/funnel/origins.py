"""Origins: the days from which past forecasts are made again, each with its outcomes complete; the last are sealed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from foregate.cases.funnel.settings import FunnelSettings
from foregate.core.errors import DataError

LEAST_HISTORY_DAYS = 90


@dataclass(frozen=True, slots=True)
class Origins:
    """Days a forecast is made on, oldest first: `open` ones choose candidates, `sealed` ones are looked at once.

    Each is scored on the `score_days` days that follow its last complete day; `step_days` lie between two.
    """

    open: tuple[date, ...]
    sealed: tuple[date, ...]
    step_days: int
    score_days: int

    @property
    def overlap(self) -> int:
        """How many origins one outcome day can count for: the horizon of a Diebold-Mariano test over origins.

        >>> Origins((), (), 14, 28).overlap, Origins((), (), 28, 28).overlap
        (2, 1)
        """
        return -(-self.score_days // self.step_days)

    @property
    def window(self) -> str:
        """The name of the sealed outcomes: two candidates with the same window read the same."""
        return f"{self.sealed[0]}..{self.sealed[-1] + timedelta(days=self.score_days - 1)}"


def days_of(as_of: date, settings: FunnelSettings) -> Origins:
    """Return the origins of a run: the newest has its outcomes complete on `as_of`, the others go back by the step."""
    newest = as_of - timedelta(days=settings.score_days)
    days = [newest - timedelta(days=settings.origin_step_days * back) for back in range(settings.origins)][::-1]
    cut = len(days) - settings.test_origins
    return Origins(tuple(days[:cut]), tuple(days[cut:]), settings.origin_step_days, settings.score_days)


def origins(as_of: date, first: date, settings: FunnelSettings) -> Origins:
    """Return the origins of a run whose data begin on a day.

    Raises DataError when the oldest origin would stand on less than 90 days of history.
    """
    found = days_of(as_of, settings)
    history = (found.open[0] - first).days
    if history < LEAST_HISTORY_DAYS:
        lacking = LEAST_HISTORY_DAYS - history
        raise DataError(
            "foregate.toml [funnel] origins",
            found=f"{settings.origins} origins back to {found.open[0]}, {max(0, history)} days after the first event",
            wanted=f"at least {LEAST_HISTORY_DAYS} days of history before the oldest origin ({lacking} more)",
            then="Take a smaller origin_step_days, fewer origins (12 at least), or bring older events.",
        )
    return found
