"""Sets of values of one column, NULL included: what a condition allows the column to be."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# A cut lies just before (False) or just after (True) a value; membership flips at every cut.
Cut = tuple[Any, bool]


@dataclass(frozen=True, slots=True)
class ValueSet:
    """A set on an ordered line of values, written as the cuts where membership flips, and NULL apart.

    All values of one set are of one kind (numbers, text, dates), so they can be ordered. The line counts as dense:
    between two numbers there is always another, which can only make the proof more careful.
    """

    starts_inside: bool
    cuts: tuple[Cut, ...]
    null: bool

    def __and__(self, other: "ValueSet") -> "ValueSet":
        """Return what lies in both sets."""
        if self == EVERYTHING or other == EVERYTHING:
            return other if self == EVERYTHING else self
        in_mine, in_theirs = self.starts_inside, other.starts_inside
        inside = starts = in_mine and in_theirs
        cuts: list[Cut] = []
        at_mine = at_theirs = 0
        while at_mine < len(self.cuts) or at_theirs < len(other.cuts):
            cut = min(self.cuts[at_mine : at_mine + 1] + other.cuts[at_theirs : at_theirs + 1])
            if self.cuts[at_mine : at_mine + 1] == (cut,):
                in_mine, at_mine = not in_mine, at_mine + 1
            if other.cuts[at_theirs : at_theirs + 1] == (cut,):
                in_theirs, at_theirs = not in_theirs, at_theirs + 1
            if inside != (in_mine and in_theirs):
                inside = not inside
                cuts.append(cut)
        return ValueSet(starts, tuple(cuts), self.null and other.null)

    def __invert__(self) -> "ValueSet":
        """Return everything else, NULL changing sides too."""
        return ValueSet(not self.starts_inside, self.cuts, not self.null)

    def without_null(self) -> "ValueSet":
        """Return the same values, NULL left out."""
        return ValueSet(self.starts_inside, self.cuts, False)

    @property
    def is_empty(self) -> bool:
        """Whether not even NULL is left."""
        return not (self.starts_inside or self.cuts or self.null)


NOTHING = ValueSet(False, (), False)
EVERYTHING = ValueSet(True, (), True)
ONLY_NULL = ValueSet(False, (), True)


def below(value: Any, *, inclusive: bool) -> ValueSet:
    """Return the values under `value`, and `value` itself when inclusive; never NULL."""
    return ValueSet(True, ((value, inclusive),), False)


def above(value: Any, *, inclusive: bool) -> ValueSet:
    """Return the values over `value`, and `value` itself when inclusive; never NULL."""
    return ValueSet(False, ((value, not inclusive),), False)


def exactly(values: Iterable[Any]) -> ValueSet:
    """Return just these values; never NULL.

    >>> (exactly([1, 2]) & above(1, inclusive=False)) == exactly([2])
    True
    >>> (exactly([1]) & below(1, inclusive=False)).is_empty
    True
    """
    return ValueSet(False, tuple((value, after) for value in sorted(set(values)) for after in (False, True)), False)


# The values a truth can take; what is neither 0 nor 1 is not a boolean.
BOOLEAN = ValueSet(False, exactly([0, 1]).cuts, True)
