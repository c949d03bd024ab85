"""Serving: whether the people scored today look like the leads a version was trained on, asked at every scoring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.metrics.rates import rate_difference
from foregate.modeling.measured import Measured
from foregate.modeling.signature import Signature, is_text, sign, unseen

GATES = (
    Gate("unseen_category_rate", at_most=0.05, why="categories that training never saw: a source was recoded"),
    Gate("missing_shift", at_most=0.5, effect=Effect.SIGN_OFF, why="a feature that training had and serving lacks"),
)


# A text of more values than this is an id or a name: that new ones appear is its nature, not a recoded source.
MOST_CATEGORIES = 200


@dataclass(frozen=True)
class Profile:
    """What training looked like: missing and all rows per learned feature, known values per text feature."""

    rows: int
    missing: Mapping[str, int]
    categories: Mapping[str, tuple[str, ...]]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"rows": self.rows, "missing": dict(self.missing), "categories": dict(self.categories)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Profile:
        """Return the profile that `to_json` wrote."""
        return cls(raw["rows"], raw["missing"], {n: tuple(v) for n, v in raw["categories"].items()})


def profile(train: pa.Table, learned: Sequence[str], features: Sequence[str]) -> Profile:
    """Return the profile of the training rows; text features of few values count even when not learned from."""
    texts = [n for n in features if is_text(train.column(n)) and len(train.column(n).unique()) <= MOST_CATEGORIES]
    return Profile(train.num_rows, {n: train.column(n).null_count for n in learned}, sign(train, texts).categories)


def serving_evidence(made: Measured, trained: Profile, scored: pa.Table) -> Iterator[Evidence]:
    """Yield, for everybody scored, values that training never saw and features that training had."""
    names = tuple(trained.categories)
    known = Signature(names, ("category",) * len(names), trained.categories)
    for name, count in unseen(scored, known).items():
        yield made.rate("unseen_category_rate", count, scored.num_rows, name)
    if not names:
        yield made.nothing("unseen_category_rate", "no feature is a category")
    for name, before in trained.missing.items():
        now = scored.column(name).null_count
        shift = rate_difference(now, scored.num_rows, before, trained.rows)
        here, there = now / max(scored.num_rows, 1), before / max(trained.rows, 1)
        words = f"missing for {here:.1%} of people, {there:.1%} in training"
        yield made.estimate("missing_shift", shift, Unit.DIFFERENCE, name, words)
