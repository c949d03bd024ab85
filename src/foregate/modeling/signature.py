"""The signature of a model: its features' names, order, kinds and category maps, checked wherever it scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foregate.core.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER, CATEGORY = "number", "category"


@dataclass(frozen=True)
class Signature:
    """Features in order with their kinds; a category's code is its place in its sorted list of known values."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "names": list(self.names),
            "kinds": list(self.kinds),
            "categories": {k: list(v) for k, v in self.categories.items()},
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Signature:
        """Return the signature that `to_json` wrote."""
        categories = {k: tuple(v) for k, v in raw["categories"].items()}
        return cls(tuple(raw["names"]), tuple(raw["kinds"]), categories)


def is_text(column: Any) -> bool:
    """Return whether an Arrow column is text, which a model takes as categories."""
    import pyarrow as pa

    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def sign(table: pa.Table, names: Sequence[str]) -> Signature:
    """Return the signature of some columns; numbers, booleans and whole numbers are numbers, text is a category."""
    kinds, categories = [], {}
    for name in names:
        column = table.column(name)
        if is_text(column):
            kinds.append(CATEGORY)
            categories[name] = tuple(sorted(v for v in column.unique().to_pylist() if v is not None))
        elif _is_number(column.type):
            kinds.append(NUMBER)
        else:
            raise DataError(
                f"feature {name}",
                found=f"the type {column.type}",
                wanted="a number, a yes/no or a text",
                then="Turn dates into days, as in date_diff('day', max(started_on), as_of).",
            )
    return Signature(tuple(names), tuple(kinds), categories)


def encode(table: pa.Table, signature: Signature) -> NDArray[np.float32]:
    """Return the matrix a model is given, [rows, features] with NaN for missing.

    A category never seen in training is NaN too: `unseen` counts those. Raises DataError when a feature is missing or
    of another kind: nothing is filled in.
    """
    out = np.empty((table.num_rows, len(signature.names)), dtype=np.float32)
    for place, (name, kind) in enumerate(zip(signature.names, signature.kinds, strict=True)):
        if name not in table.column_names:
            raise DataError(
                f"feature {name}",
                found="no such column",
                wanted=f"the {len(signature.names)} features of the model's signature",
                then="Score with the statement the model was packaged with.",
            )
        out[:, place] = _codes(table, name, signature) if kind == CATEGORY else _numbers(table, name)
    return out


def unseen(table: pa.Table, signature: Signature) -> dict[str, int]:
    """Return, for each category feature, how many rows hold a value that training never saw."""
    import pyarrow.compute as pc

    found = {}
    for name, known in signature.categories.items():
        values = table.column(name).combine_chunks()
        strange = pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, value_set=_array(known))))
        found[name] = int(pc.sum(pc.cast(strange, "int64")).as_py() or 0)
    return found


def _codes(table: pa.Table, name: str, signature: Signature) -> NDArray[np.float32]:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table.column(name).combine_chunks()
    if not is_text(column):
        raise _other_kind(name, str(column.type), CATEGORY)
    places = pc.index_in(column, value_set=_array(signature.categories[name]))
    return np.asarray(pc.cast(places, pa.float32()).to_numpy(zero_copy_only=False), dtype=np.float32)


def _numbers(table: pa.Table, name: str) -> NDArray[np.float32]:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table.column(name).combine_chunks()
    if not _is_number(column.type):
        raise _other_kind(name, str(column.type), NUMBER)
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    wide = pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.asarray(wide, dtype=np.float32)


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    return any(test(kind) for test in tests)


def _array(values: Sequence[str]) -> Any:
    import pyarrow as pa

    return pa.array(list(values), pa.string())


def _other_kind(name: str, found: str, wanted: str) -> DataError:
    return DataError(
        f"feature {name}",
        found=f"the type {found}",
        wanted=f"a {wanted}, as in training",
        then="A source changed its type: put it back, or train another version.",
    )
