"""What the ledger itself says against a rollout now: too soon, judged too long ago, rolled back before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from foregate.core.event import Entry
from foregate.core.evidence import Evidence
from foregate.core.folds import VersionState
from foregate.core.rollout import Plan, quarantined, rollouts


def history(entries: Sequence[Entry], state: VersionState, plan: Plan, now: datetime) -> list[Evidence]:
    """Return the days a rollout of the version still has to wait, its judgement's age, and whether it was taken back.

    The age is that of the oldest of the run's own phases: asking again for a rollout makes no judgement younger.
    """
    ended = [r.moved.at for r in rollouts(entries) if not r.is_open and r.served_at and r.moved]
    quiet = (max(ended) + timedelta(days=plan.cooldown_days) - now).days + 1 if ended and plan.cooldown_days else 0
    judged = [p.judged.at for p in state.phases.values() if p.judged and p.name in state.planned]
    age = (now - min(judged)).days if judged else 0
    source, on = (f"event {entries[-1].sequence}" if entries else "empty ledger"), now.date()
    before = int(state.version in quarantined(entries))
    return [
        Evidence("cooldown_days_left", max(0, quiet), len(ended), on, source, words="since the last rollout ended"),
        Evidence("judgement_age_days", max(0, age), len(judged), on, source, words="since the version was judged"),
        Evidence("rolled_back_before", before, 1, on, source),
    ]
