"""Played time: the clock of a demo in which days pass in seconds, and what every demo of a forecast tells alike."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console

from foregate.app.monitoring import monitor
from foregate.app.promotion import waive
from foregate.core.gate import Effect, Result
from foregate.report.terminal import phase_line
from foregate.report.words import number

if TYPE_CHECKING:
    from foregate.app.opened import App
    from foregate.core.folds import VersionState
    from foregate.lifecycle.walk import Step, Watch

HOUR = time(7, 0, tzinfo=UTC)


@dataclass
class Calendar:
    """The clock of a compressed half year: the morning of the day being played, and the seconds that really pass."""

    day: date
    since: float = field(default_factory=monotonic)

    def __call__(self) -> datetime:
        """Return the moment being played."""
        return datetime.combine(self.day, HOUR) + timedelta(seconds=monotonic() - self.since)

    def turn(self, day: date) -> None:
        """Go on to a later day, or stay on this one."""
        if day != self.day:
            self.day, self.since = day, monotonic()


def teller(console: Console) -> Watch:
    """Return what prints a line for every phase that has ended."""

    def tell(step: Step) -> None:
        if step.state:
            console.print(phase_line(step.phase, step.state, step.seconds, step.judgements))

    return tell


def accepted(app: App, state: VersionState, by: str, why: str, days: int, console: Console) -> VersionState:
    """Return the state after a named person has accepted for some days what the gates could not tell, each told."""
    for judgement in state.judgements():
        if judgement.result is not Result.PASS and judgement.gate.effect is Effect.SIGN_OFF:
            state = waive(app, state.version, judgement.label, by, why, app.clock().date() + timedelta(days=days))
            found = number(judgement.evidence) if judgement.evidence else "nothing"
            wanted = judgement.gate.wanted()
            text = f"{judgement.result}: {judgement.label} {found}, wanted {wanted}; accepted by {by}: {why}"
            console.print(text, markup=False)
    return state


def play_weeks(
    app: App, calendar: Calendar, weeks: int, lay: Callable[[date], object], telling: Collection[str], console: Console
) -> None:
    """Issue a forecast each week over data laid as of its day, and print what the issued ones came to."""
    start = calendar.day
    for week in range(1, weeks + 1):
        day = start + timedelta(days=7 * week)
        calendar.turn(day)
        lay(day)
        app.issue(day)
    found = monitor(app, calendar.day)
    for e in found.evidence:
        if e.name in telling:
            console.print(f"{e.label:<36} {number(e):<28} {e.words}", markup=False)
    for event in found.told:
        console.print(event.sentence(), markup=False)
