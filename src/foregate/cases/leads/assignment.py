"""Who calls whom: the same number of people for every owner, and the same expected value within a tolerance."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foregate.cases.leads.refusals import ListRefusalError, RefusalError

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

# Swaps of two for two are tried only among this many distinct values; their number grows with the fourth power.
MOST_VALUES_FOR_PAIRS = 24
MOST_SWAPS = 10_000


class UnfairAssignmentError(ListRefusalError):
    """Owners that can not get equal lists: a group too large, or expected values too far apart."""


class WrongRowsError(RefusalError):
    """Rows that are not exactly as many as the owners take."""


def assign(
    rows: pa.Table, owners: Sequence[Hashable], per_owner: int, tolerance: float = 0.02, seed: int = 0
) -> Integers:
    """Return the place in `owners` for each row of the list.

    `rows` has firm_id, expected_rate (a probability), list_rank (unique) and, if partners of one firm are to stay
    together, is_partner. Every owner gets exactly `per_owner` rows; the gap between the largest and smallest total of
    expected_rate is at most `tolerance` times the mean. The order of the rows does not matter; `seed` decides which
    owner gets which share. Raises WrongRowsError, UnfairAssignmentError.

    >>> rows = pa.table({"firm_id": [1, 1, 2, 3], "expected_rate": [0.2, 0.1, 0.2, 0.1], "list_rank": [1, 2, 3, 4],
    ...                  "is_partner": [True, True, False, False]})
    >>> first, second, third, fourth = assign(rows, ["ann", "bob"], per_owner=2).tolist()
    >>> first == second, third == fourth, first != third
    (True, True, True)
    """
    if rows.num_rows != len(owners) * per_owner or not owners:
        raise WrongRowsError(
            "assignment",
            found=f"{rows.num_rows} rows for {len(owners)} owners",
            wanted=f"exactly {per_owner} for each of at least one owner",
            then="Build the list to that length first.",
        )
    by_rank = np.argsort(rows["list_rank"].to_numpy(), kind="stable")
    ordered = rows.take(pa.array(by_rank))
    rate = ordered["expected_rate"].to_numpy().astype(np.float64)
    shares = _Shares(len(owners), per_owner)
    share = np.full(rate.size, -1, np.int64)
    for group in _groups(ordered, rate):
        share[group.members] = shares.place(group)
    single = np.flatnonzero(share < 0)
    values, value = np.unique(rate[single], return_inverse=True)
    counts = shares.spread(values, np.bincount(value, minlength=values.size))
    _level(counts, values, shares.total, tolerance)
    _check_fair(shares.total, values, tolerance)
    owner_of_share = np.random.default_rng(seed).permutation(len(owners))
    share[single] = _deal(counts, value)
    found = np.empty(rate.size, np.int64)
    found[by_rank] = owner_of_share[share]
    return found


@dataclass(frozen=True, slots=True)
class _Group:
    """People of one firm who go together: their places by rank, and their expected value."""

    firm: Hashable
    members: Integers
    value: float


class _Shares:
    """Shares of the list that are being filled: how many people and how much expected value each has."""

    def __init__(self, number: int, size: int) -> None:
        self.size = size
        self.count = np.zeros(number, np.int64)
        self.total = np.zeros(number)

    def place(self, group: _Group) -> int:
        """Return the share a group joins: the one with most room, then with least value."""
        share = int(np.lexsort((self.total, self.count))[0])
        if self.count[share] + group.members.size > self.size:
            raise UnfairAssignmentError(
                f"assignment, partners of firm {group.firm}",
                found=f"{group.members.size} people who go together, room for {self.size - self.count[share]} at most",
                wanted="a group that fits one owner",
                then="Raise per_owner, lower firm_cap, or let these partners be called apart (is_partner false).",
            )
        self.count[share] += group.members.size
        self.total[share] += group.value
        return share

    def spread(self, values: Floats, numbers: Integers) -> Integers:
        """Return [share, value] counts of single people: the dearest first, each to the poorest share with room."""
        counts = np.zeros((self.count.size, values.size), np.int64)
        heap = [(float(self.total[at]), int(self.count[at]), at) for at in range(self.count.size)]
        heap = [one for one in heap if one[1] < self.size]
        heapify(heap)
        for at in range(values.size - 1, -1, -1):
            for _ in range(int(numbers[at])):
                total, count, share = heap[0]
                counts[share, at] += 1
                self.total[share] = total + values[at]
                self.count[share] = count + 1
                if count + 1 == self.size:
                    heappop(heap)
                else:
                    heapreplace(heap, (float(self.total[share]), count + 1, share))
        return counts


def _groups(ordered: pa.Table, rate: Floats) -> list[_Group]:
    """Return the partners of firms with at least two of them, the largest group first."""
    if "is_partner" not in ordered.column_names:
        return []
    members: dict[Hashable, list[int]] = {}
    flags, firms = ordered["is_partner"].to_pylist(), ordered["firm_id"].to_pylist()
    for at, (is_partner, firm) in enumerate(zip(flags, firms, strict=True)):
        if is_partner and firm is not None:
            members.setdefault(firm, []).append(at)
    groups = [
        _Group(firm, np.array(places, np.int64), float(rate[places].sum()))
        for firm, places in members.items()
        if len(places) > 1
    ]
    return sorted(groups, key=lambda group: (-group.members.size, -group.value, int(group.members[0])))


def _level(counts: Integers, values: Floats, total: Floats, tolerance: float) -> None:
    """Swap single people between shares until the totals lie within the tolerance or no swap brings them closer."""
    goods = _swaps(values)
    for _ in range(MOST_SWAPS):
        if _gap(total) <= tolerance or not _swap_once(counts, goods, values, total):
            return


def _swap_once(counts: Integers, goods: tuple[Integers, Floats], values: Floats, total: Floats) -> bool:
    """Make the best swap of the first pair of shares that has one, the most unequal pairs first."""
    rank = np.argsort(total, kind="stable").tolist()
    pairs = [(rank[-1], poor) for poor in rank[:-1]] + [(rich, rank[0]) for rich in reversed(rank[1:-1])]
    for rich, poor in pairs:
        moved = _best_swap(counts[rich], counts[poor], goods, total[rich] - total[poor])
        if moved is not None:
            counts[rich] -= moved
            counts[poor] += moved
            worth = float(moved @ values)
            total[rich] -= worth
            total[poor] += worth
            return True
    return False


def _best_swap(rich: Integers, poor: Integers, goods: tuple[Integers, Floats], gap: float) -> Integers | None:
    """Return by value what the rich share gives (positive) and takes, so that the gap gets smallest."""
    bundles, worth = goods
    given = np.flatnonzero((bundles <= rich).all(axis=1))
    got = np.flatnonzero((bundles <= poor).all(axis=1))
    best, found = abs(gap) * (1 - 1e-9), None
    for size in np.unique(bundles.sum(axis=1)).tolist():
        gives, takes = (one[bundles[one].sum(axis=1) == size] for one in (given, got))
        if not (gives.size and takes.size):
            continue
        left = np.abs(gap - 2 * (worth[gives][:, None] - worth[takes][None, :]))
        at = int(left.argmin())
        if left.flat[at] < best:
            best = float(left.flat[at])
            found = bundles[gives[at // takes.size]] - bundles[takes[at % takes.size]]
    return found


def _swaps(values: Floats) -> tuple[Integers, Floats]:
    """Return the bundles that can change hands, one person or two, as counts by value, and their worth."""
    one = np.eye(values.size, dtype=np.int64)
    bundles = [one]
    if values.size <= MOST_VALUES_FOR_PAIRS:
        first, second = np.triu_indices(values.size)
        bundles.append(one[first] + one[second])
    stacked = np.concatenate(bundles)
    return stacked, stacked @ values


def _gap(total: Floats) -> float:
    """Return the widest gap between totals as a share of their mean; 0 when there is nothing to share."""
    mean = float(total.mean())
    return float(np.ptp(total)) / mean if mean > 0 else 0.0


def _check_fair(total: Floats, values: Floats, tolerance: float) -> None:
    gap = _gap(total)
    if gap > tolerance:
        step = float(np.diff(values).min(initial=np.inf)) if values.size > 1 else 0.0
        raise UnfairAssignmentError(
            "assignment, expected conversions of the owners",
            found=f"{total.min():.3f} to {total.max():.3f}, a gap of {gap:.1%} of the mean",
            wanted=f"at most {tolerance:.1%}",
            then=f"The finest swap moves {step:.3f}; raise assignment_tolerance or per_owner, or split large groups.",
        )


def _deal(counts: Integers, value: Integers) -> Integers:
    """Return the share of each single person: those of one value are dealt in turn, the best ranked first."""
    found = np.empty(value.size, np.int64)
    by_value = np.argsort(value, kind="stable")
    shares: list[Integers] = []
    for at in range(counts.shape[1]):
        in_turn = np.roll(np.arange(counts.shape[0]), -at)
        numbers = counts[in_turn, at]
        who = np.repeat(in_turn, numbers)
        round_of = np.concatenate([np.arange(number) for number in numbers.tolist()])
        shares.append(who[np.argsort(round_of, kind="stable")])
    found[by_value] = np.concatenate(shares) if shares else np.zeros(0, np.int64)
    return found
