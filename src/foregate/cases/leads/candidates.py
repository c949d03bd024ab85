"""The people who could be on the list, one row each, checked and in the order of their ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from foregate.cases.leads import wording
from foregate.cases.leads.matrix import MatrixSettings
from foregate.cases.leads.refusals import RefusalError
from foregate.cases.leads.tiers import TierRules

Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

WHERE = "candidates"
NEVER_CONTACTED = np.iinfo(np.int64).max

_FLAGS = ("do_not_call", "has_linkedin")
_MAY_BE_MISSING = ("lead_id", "firm_id", "firm_name", "lead_status", "last_contacted_on", "score", "percentile")
_KINDS: Mapping[str, tuple[str, Any]] = {
    "person_id": ("whole numbers", pa.types.is_integer),
    "tier": ("text", lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind)),
    "score": ("decimal numbers", pa.types.is_floating),
    "percentile": ("whole numbers", pa.types.is_integer),
    "last_contacted_on": ("dates", lambda kind: pa.types.is_date(kind) or pa.types.is_timestamp(kind)),
}


class CandidatesWrongError(RefusalError):
    """A candidates table that lacks a column, has one of the wrong kind, or values that can not be."""


class DuplicatePersonsError(RefusalError):
    """A candidates table in which one person stands twice: a join upstream multiplied rows."""


@dataclass(frozen=True)
class Candidates:
    """Columns of the candidates in the order of person_id, so that the order of the input can not matter.

    `percentile` 0 means not scored; `days_since_contact` is NEVER_CONTACTED where nobody called; `firm` is -1 where the
    firm is not known; `tier` counts through the declared tiers, the standard group last.
    """

    table: pa.Table
    rows: Integers
    person: Integers
    tier: Integers
    score: Floats
    percentile: Integers
    days_since_contact: Integers
    is_known: Flags
    firm: Integers
    flags: Mapping[str, Flags]

    def column(self, name: str) -> Any:
        """Return one column of the table, in the order of person_id."""
        return _plain(self.table[name]).take(pa.array(self.rows))

    def values(self, name: str, people: Integers) -> list[Any]:
        """Return one column's values for some people, by their place in the order of person_id."""
        return list(_plain(self.table[name]).take(pa.array(self.rows[people])).to_pylist())


def read(table: pa.Table, rules: TierRules, matrix: MatrixSettings, as_of: date) -> Candidates:
    """Return the checked candidates. Raises CandidatesWrongError, DuplicatePersonsError."""
    _check_columns(table, rules, matrix)
    rows, person = _in_order(table)
    percentile, score = _scored(table, rows)
    lead_known = _numbers(pc.is_valid(_plain(table["lead_id"])))[rows]
    days = _days_since_contact(table, rows, as_of)
    flags = [*_FLAGS, *(f"excluded_{rule.name}" for rule in rules.exclusion)]
    return Candidates(
        table=table,
        rows=rows,
        person=person,
        tier=_tiers(table, rules)[rows],
        score=score,
        percentile=percentile,
        days_since_contact=days,
        is_known=lead_known | (days != NEVER_CONTACTED),
        firm=codes(table["firm_id"])[0][rows],
        flags={name: _flag(table, name)[rows] for name in [*flags, "is_partner"] if name in table.column_names},
    )


def codes(values: Any) -> tuple[Integers, list[Any]]:
    """Return for each value its place in a list of the distinct ones (-1: missing), and that list."""
    encoded = _plain(values).dictionary_encode()
    return _places(encoded), list(encoded.dictionary.to_pylist())


def _places(encoded: Any) -> Integers:
    return _numbers(pc.fill_null(encoded.indices, -1)).astype(np.int64)


def _plain(values: Any) -> Any:
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _numbers(values: Any) -> NDArray[Any]:
    found: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return found


def _kind(column: Any) -> Any:
    return column.type.value_type if pa.types.is_dictionary(column.type) else column.type


def _check_columns(table: pa.Table, rules: TierRules, matrix: MatrixSettings) -> None:
    exclusions = [f"excluded_{rule.name}" for rule in rules.exclusion]
    _check_present(table, {"person_id", "tier", *_FLAGS, *_MAY_BE_MISSING, *exclusions}, "the list")
    spoken = {tier.name: tier.words for tier in rules.tier if tier.quota}
    spoken |= {rule.name: rule.words for rule in rules.exclusion}
    if matrix.backfill is not None:
        spoken[matrix.backfill.name] = matrix.backfill.words
    for name, words in spoken.items():
        _check_present(table, wording.columns_in(words, f"words of {name}"), f"the words of {name}")
    undeclared = [n for n in table.column_names if n.startswith("excluded_") and n not in exclusions]
    if undeclared:
        raise _wrong(
            undeclared[0], "an exclusion that no rule declares", "only declared exclusions", "Rebuild the table."
        )
    for name, (wanted, fits) in _KINDS.items():
        kind = _kind(table[name])
        is_empty = name in _MAY_BE_MISSING and pa.types.is_null(kind)
        if not (fits(kind) or is_empty):
            raise _wrong(name, f"{kind}", wanted, "Cast the column where the table is made.")


def _check_present(table: pa.Table, names: set[str], user: str) -> None:
    have = {name.lower() for name in table.column_names}
    missing = sorted(name for name in names if name not in have)
    if missing:
        raise _wrong(missing[0], f"no such column among {', '.join(table.column_names)}", f"it for {user}", "Add it.")


def _in_order(table: pa.Table) -> tuple[Integers, Integers]:
    person = _present(table, "person_id").astype(np.int64)
    rows = np.argsort(person, kind="stable")
    person = person[rows]
    assert_unique(person, WHERE)
    return rows, person


def assert_unique(person: Integers, where: str) -> None:
    """Raise DuplicatePersonsError when a sorted column of ids names someone twice."""
    again = np.unique(person[1:][person[1:] == person[:-1]])
    if again.size:
        shown = ", ".join(str(one) for one in again[:5])
        raise DuplicatePersonsError(
            f"{where}, column person_id",
            found=f"{again.size} persons in more than one row ({shown}{', ...' if again.size > 5 else ''})",
            wanted="one row for each person",
            then="Look for a join upstream on a key that is not unique; do not remove duplicates here.",
        )


def _scored(table: pa.Table, rows: Integers) -> tuple[Integers, Floats]:
    score = _numbers(pc.fill_null(_typed(table, "score", pa.float64()), np.nan))[rows]
    percentile = _typed(table, "percentile", pa.int64())
    given = _numbers(pc.is_valid(percentile))[rows]
    places = _numbers(pc.fill_null(percentile, 0))[rows]
    if np.any(given & ((places < 1) | (places > 100))):
        raise _wrong(
            "percentile", "a value outside 1..100", "1 (lowest score) to 100", "Use one percentile everywhere."
        )
    if np.any(given == np.isnan(score)):
        raise _wrong("score", "a score without percentile or the reverse", "both or neither", "Score the person again.")
    if np.any((score < 0) | (score > 1)):
        raise _wrong("score", "a value outside 0..1", "a probability", "Calibrate the score before it is listed.")
    return places, score


def _typed(table: pa.Table, name: str, kind: Any) -> Any:
    return _plain(table[name]).cast(kind)


def _days_since_contact(table: pa.Table, rows: Integers, as_of: date) -> Integers:
    contacted = _typed(table, "last_contacted_on", pa.date32())
    today = (as_of.date() if isinstance(as_of, datetime) else as_of).toordinal() - date(1970, 1, 1).toordinal()
    on = _numbers(pc.fill_null(contacted.cast(pa.int32()), 0)).astype(np.int64)
    ever = _numbers(pc.is_valid(contacted))
    return np.where(ever, today - on, NEVER_CONTACTED)[rows]


def _tiers(table: pa.Table, rules: TierRules) -> Integers:
    names = [*(tier.name for tier in rules.tier), rules.standard.name]
    found = pc.index_in(_plain(table["tier"]), value_set=pa.array(names, _kind(table["tier"])))
    if found.null_count:
        strange = pc.unique(_plain(table["tier"]).filter(pc.is_null(found))).to_pylist()
        said = ", ".join("no tier" if one is None else str(one) for one in strange[:5])
        raise _wrong("tier", said, f"one of {', '.join(names)}", "Assign tiers with the same tiers.toml.")
    return _numbers(found).astype(np.int64)


def _flag(table: pa.Table, name: str) -> Flags:
    if not pa.types.is_boolean(table[name].type):
        raise _wrong(name, f"{table[name].type}", "true or false", "Cast the column where the table is made.")
    return _present(table, name)


def _present(table: pa.Table, name: str) -> NDArray[Any]:
    if table[name].null_count:
        # Missing is not "no": a person who may not be called could slip through.
        raise _wrong(name, f"{table[name].null_count} missing values", "a value for everybody", "Decide it upstream.")
    return _numbers(_plain(table[name]))


def _wrong(name: str, found: str, wanted: str, then: str) -> CandidatesWrongError:
    return CandidatesWrongError(f"{WHERE}, column {name}", found=found, wanted=wanted, then=then)


def taken(table: pa.Table, names: Sequence[str], rows: Integers) -> list[dict[str, Any]]:
    """Return some columns of some rows as dictionaries, one a row, whatever the case of the names."""
    lowered = {name.lower(): name for name in table.column_names}
    wanted = table.select([lowered[name] for name in names]).take(pa.array(rows))
    return list(wanted.rename_columns(list(names)).to_pylist())
