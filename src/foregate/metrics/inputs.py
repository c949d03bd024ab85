"""What counts as legal input: each check returns the clean array or says what it found."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foregate.metrics.estimate import Floats, Integers


def numbers(values: ArrayLike, name: str) -> Floats:
    """Return the values as one row of floats, NaN allowed; ValueError when empty or not numbers.

    >>> numbers([1, 2], "ages")
    array([1., 2.])
    """
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the {name} are not numbers ({error}); wanted one row of numbers") from error
    if found.ndim != 1 or found.size == 0:
        raise ValueError(f"the {name} have shape {found.shape}; wanted one row of at least one number")
    return found


def scores_of(values: ArrayLike, name: str = "scores") -> Floats:
    """Return the scores as floats; ValueError when empty or when any is NaN. Infinite scores can be ranked.

    >>> scores_of([3, 1])
    array([3., 1.])
    """
    found = numbers(values, name)
    missing = int(np.isnan(found).sum())
    if missing:
        raise ValueError(f"{missing} of {found.size} {name} are NaN; wanted a number for every row")
    return found


def finite(values: ArrayLike, name: str) -> Floats:
    """Return the values as floats; ValueError when any is NaN or infinite.

    >>> finite([0.5], "margins")
    array([0.5])
    """
    found = scores_of(values, name)
    if not np.isfinite(found).all():
        raise ValueError(f"some {name} are infinite; wanted finite numbers")
    return found


def probabilities_of(values: ArrayLike, name: str = "probabilities") -> Floats:
    """Return the probabilities as floats; ValueError when any is NaN or outside 0 to 1.

    >>> probabilities_of([0, 0.5])
    array([0. , 0.5])
    """
    found = scores_of(values, name)
    if found.min() < 0.0 or found.max() > 1.0:
        raise ValueError(f"the {name} run from {found.min():g} to {found.max():g}; wanted 0 to 1")
    return found


def outcomes_of(values: ArrayLike, name: str = "outcomes") -> Floats:
    """Return the outcomes as floats; ValueError when empty or when any is not 0 or 1.

    >>> outcomes_of([True, False])
    array([1., 0.])
    """
    found = numbers(values, name)
    strange = found[(found != 0.0) & (found != 1.0)]
    if strange.size:
        raise ValueError(f"{strange.size} {name} are not 0 or 1 (first {strange[0]:g}); wanted only 0 and 1")
    return found


def same_length(**columns: Sequence[Any] | NDArray[Any]) -> int:
    """Return the number of rows which all columns share; ValueError when they differ.

    >>> same_length(left=[1, 2], right=[3, 4])
    2
    """
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"the columns have different lengths ({said}); wanted one row for each")
    return next(iter(lengths.values()))


def labelled(outcomes: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """Return outcomes and scores of the same rows, both checked.

    >>> labelled([0, 1], [0.2, 0.7])
    (array([0., 1.]), array([0.2, 0.7]))
    """
    known, scored = outcomes_of(outcomes), scores_of(scores)
    same_length(outcomes=known, scores=scored)
    return known, scored


def share_of(share: float, name: str = "share") -> float:
    """Return the share; ValueError unless it is above 0 and at most 1.

    >>> share_of(0.1)
    0.1
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"the {name} is {share}; wanted above 0 and at most 1")
    return float(share)


def at_least(number: int, least: int, name: str) -> int:
    """Return the whole number; ValueError when it is below the least that makes sense or not whole.

    >>> at_least(10, 2, "groups")
    10
    """
    if number != int(number) or number < least:
        raise ValueError(f"the number of {name} is {number}; wanted a whole number of at least {least}")
    return int(number)


def _is_missing(value: object) -> bool:
    return value is None or value != value


def _plain(values: ArrayLike, name: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    found = np.asarray(values)
    if found.ndim != 1 or found.size == 0:
        raise ValueError(f"the {name} have shape {found.shape}; wanted one row of at least one code")
    if found.dtype.kind == "O":
        missing = np.fromiter((_is_missing(value) for value in found), dtype=np.bool_, count=found.size)
        present = found[~missing].tolist()
        kinds = {type(value) for value in present}
        if str in kinds and len(kinds) > 1:
            raise ValueError(f"the {name} mix text and numbers; wanted codes of one kind")
        plain = np.array(present) if present else np.array([], dtype=np.float64)
        return plain, missing
    if found.dtype.kind == "f":
        missing = np.isnan(found)
        return found[~missing], missing
    return found, np.zeros(found.size, dtype=np.bool_)


def codes_of(left: ArrayLike, right: ArrayLike) -> tuple[Integers, Integers, int]:
    """Return both columns as whole numbers 0.. for the same categories, and how many categories there are.

    Codes are text or numbers, the same kind in both columns; None and NaN together are one category of
    their own, the last. ValueError when a column is empty or when text meets numbers.

    >>> codes_of(["a", "b"], ["b", "c"])
    (array([0, 1]), array([1, 2]), 3)
    """
    (first, first_missing), (second, second_missing) = _plain(left, "left codes"), _plain(right, "right codes")
    kinds = {column.dtype.kind in "US" for column in (first, second) if column.size}
    if len(kinds) > 1:
        raise ValueError("one column holds text and the other numbers; wanted codes of one kind")
    present = [column for column in (first, second) if column.size] or [first]
    known, inverse = np.unique(np.concatenate(present), return_inverse=True)
    coded_first = np.full(first_missing.size, known.size, dtype=np.int64)
    coded_second = np.full(second_missing.size, known.size, dtype=np.int64)
    coded_first[~first_missing] = inverse[: first.size]
    coded_second[~second_missing] = inverse[first.size :]
    gone = bool(first_missing.any() or second_missing.any())
    return coded_first, coded_second, known.size + gone
