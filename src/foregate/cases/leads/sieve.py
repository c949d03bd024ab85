"""The sieve: every rule removes people by name, and the counts add up after each."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foregate.cases.leads.candidates import Flags, Integers
from foregate.cases.leads.rule_names import LISTED

# For some people (by place): the number of the words for each, and the words.
Words = Callable[[Integers], tuple[Integers, list[str]]]

ALL_TIERS = "all tiers"
POPULATION = "population"
LISTED_CODE = 0


class UnreconciledError(RuntimeError):
    """People were lost or found between two steps: a fault of this program, not of its input."""


def same_for_all(text: str) -> Words:
    """Return words that are the same for everybody."""
    return lambda people: (np.zeros(people.size, np.int64), [text])


def by_key(keys: NDArray[Any], say: Callable[[Any], str]) -> Words:
    """Return words said once for each distinct key; `keys` has one value a person."""

    def words(people: Integers) -> tuple[Integers, list[str]]:
        distinct, which = np.unique(keys[people], return_inverse=True)
        return which.astype(np.int64), [say(key) for key in distinct.tolist()]

    return words


class Sieve:
    """People in groups (tiers); each is still in, or was removed by one rule with its words.

    After every step the people in and the people removed add up to the population, in total and per group.
    """

    def __init__(self, groups: Sequence[str], group: Integers) -> None:
        self.groups = list(groups)
        self.group = group.copy()
        self.removed_by = np.zeros(group.size, np.int16)
        self.rules: list[str] = [LISTED]
        self._words: list[str] = [""]
        self._word = np.zeros(group.size, np.int32)
        self._steps: list[dict[str, Any]] = []
        self._remaining = self._counts(np.ones(group.size, np.bool_))
        zero = np.zeros_like(self._remaining)
        self._note(POPULATION, zero, zero, zero)

    @property
    def is_in(self) -> Flags:
        """Whether each person is still in."""
        still: Flags = self.removed_by == LISTED_CODE
        return still

    def remove(self, rule: str, hit: Flags, words: Words) -> None:
        """Take the people hit out, those that are still in, and note the rule even when it hits nobody."""
        hit = hit & self.is_in
        self.rules.append(rule)
        self.removed_by[hit] = len(self.rules) - 1
        people = np.flatnonzero(hit)
        which, said = words(people)
        self._word[people] = which + len(self._words)
        self._words += said
        removed, zero = self._counts(hit), np.zeros_like(self._remaining)
        self._note(rule, removed, zero, zero)

    def move(self, rule: str, hit: Flags, group: str) -> None:
        """Put the people hit, those that are still in, into another group."""
        hit = hit & self.is_in
        out = self._counts(hit)
        self.group[hit] = self.groups.index(group)
        self._note(rule, np.zeros_like(out), self._counts(hit), out)

    def waterfall(self) -> pa.Table:
        """Return a row for each step and group, and for each step and all groups: removed, moved, remaining."""
        return pa.Table.from_pylist(
            self._steps,
            schema=pa.schema(
                [
                    ("step", pa.int32()),
                    ("rule", pa.string()),
                    ("tier", pa.string()),
                    ("removed", pa.int64()),
                    ("moved_in", pa.int64()),
                    ("moved_out", pa.int64()),
                    ("remaining", pa.int64()),
                ]
            ),
        )

    def decisions(self) -> tuple[pa.Array, pa.Array]:
        """Return for each person the rule that decided, `listed` for those still in, and its words."""
        rule = pa.DictionaryArray.from_arrays(pa.array(self.removed_by), pa.array(self.rules, pa.string()))
        words = pa.DictionaryArray.from_arrays(pa.array(self._word), pa.array(self._words, pa.string()))
        return rule.dictionary_decode(), words.dictionary_decode()

    def removed_from(self, group: str | None = None) -> dict[str, int]:
        """Return how many each rule removed, of one group or of all, most first."""
        name = ALL_TIERS if group is None else group
        found = {step["rule"]: step["removed"] for step in self._steps if step["tier"] == name and step["removed"]}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def population_of(self, group: str) -> int:
        """Return how many were in a group before the first rule."""
        return next(int(step["remaining"]) for step in self._steps if step["tier"] == group)

    def _counts(self, hit: Flags) -> Integers:
        return np.bincount(self.group[hit], minlength=len(self.groups)).astype(np.int64)

    def _note(self, rule: str, removed: Integers, moved_in: Integers, moved_out: Integers) -> None:
        self._remaining = self._remaining - removed + moved_in - moved_out
        if not np.array_equal(self._remaining, self._counts(self.is_in)):
            raise UnreconciledError(
                f"rule {rule}: {self._remaining.tolist()} should remain, {self._counts(self.is_in)} do"
            )
        numbers = np.stack([removed, moved_in, moved_out, self._remaining], axis=1)
        step = self._steps[-1]["step"] + 1 if self._steps else 0
        for name, row in zip([*self.groups, ALL_TIERS], [*numbers.tolist(), numbers.sum(axis=0).tolist()], strict=True):
            keys = ("removed", "moved_in", "moved_out", "remaining")
            self._steps.append({"step": step, "rule": rule, "tier": name, **dict(zip(keys, row, strict=True))})
