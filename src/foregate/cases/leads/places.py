"""Who gets the places: one walk by priority, with every cap looked at for each person at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from foregate.cases.leads.candidates import Flags, Integers


class Outcome(IntEnum):
    """What the walk said to a person."""

    LISTED = 0
    TIER_QUOTA = 1
    FIRM_CAP = 2
    NO_LINKEDIN_CAP = 3
    LIST_FULL = 4


@dataclass(frozen=True, slots=True)
class Caps:
    """Most people on the list in all, of one firm, and without a LinkedIn profile (None: no such cap)."""

    places: int
    firm: int
    no_linkedin: int | None


def fill(
    group: Integers, firm: Integers, has_linkedin: Flags, quotas: Sequence[int | None], caps: Caps
) -> NDArray[np.int8]:
    """Return the outcome for each person; people come by priority, each group in one stretch.

    `quotas` has one number a group, None for a group without a quota of its own. A person is taken when group, firm,
    LinkedIn cap and list all have room; so nobody is left out while a later one of the group gets in, except by the
    firm or LinkedIn cap. Firm -1 is unknown and not capped.

    >>> firms = np.array([7, 7, 8, 9])
    >>> found = fill(np.zeros(4, int), firms, np.ones(4, bool), [2], Caps(places=3, firm=1, no_linkedin=None))
    >>> [Outcome(one).name for one in found]
    ['LISTED', 'FIRM_CAP', 'LISTED', 'TIER_QUOTA']
    """
    walk = _Walk(caps)
    outcome = np.empty(group.size, np.int8)
    edges = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), group.size] if group.size else []
    for start, end in pairwise(edges):
        quota = quotas[int(group[start])]
        stretch = slice(start, end)
        walk.stretch(firm[stretch], has_linkedin[stretch], quota, outcome[stretch])
    return outcome


class _Walk:
    """What has been taken so far."""

    def __init__(self, caps: Caps) -> None:
        self.caps = caps
        self.room = caps.places
        self.no_linkedin_room = caps.places if caps.no_linkedin is None else caps.no_linkedin
        self.of_firm: dict[int, int] = {}

    def stretch(self, firm: Integers, has_linkedin: Flags, quota: int | None, outcome: NDArray[np.int8]) -> None:
        """Write the outcomes of one group, and stop looking once it has no room."""
        quota_room = self.room if quota is None else quota
        room, at = min(self.room, quota_room), 0
        # In portions: a group of a million, of which a thousand are taken, is not turned into Python objects.
        while room and at < firm.size:
            portion = slice(at, at + 4096)
            said = []
            for one, linked in zip(firm[portion].tolist(), has_linkedin[portion].tolist(), strict=True):
                if not room:
                    break
                result = self._take(one, linked)
                room -= result is Outcome.LISTED
                said.append(result)
            outcome[at : at + len(said)] = said
            at += len(said)
        outcome[at:] = Outcome.TIER_QUOTA if self.room else Outcome.LIST_FULL

    def _take(self, firm: int, has_linkedin: bool) -> Outcome:
        of_firm = self.of_firm.get(firm, 0)
        if firm >= 0 and of_firm >= self.caps.firm:
            return Outcome.FIRM_CAP
        if not has_linkedin and not self.no_linkedin_room:
            return Outcome.NO_LINKEDIN_CAP
        self.of_firm[firm] = of_firm + 1
        self.no_linkedin_room -= not has_linkedin
        self.room -= 1
        return Outcome.LISTED
