"""Sources: what a table is, and when each of its columns becomes known."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_SPAN = re.compile(r"^(\d+) (day|month)s?$")
MEASURED = "measured"


class Column(BaseModel):
    """A column: its engine type, and the column that says when it became known if later than its row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str | None = None
    known: str | None = None


def _column(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


class Source(BaseModel):
    """A table, a file or a query with its key, and when its rows become known.

    Exactly one of `table`, `file`, `query`. Rows are known on the day in `known`, or `known_after` (`"115 days"`,
    `"1 month"` or `"measured"`) behind `happened`. A `current_state` source has no history and can not be read for a
    past lead.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str | None = None
    file: str | None = None
    query: str | None = None
    key: str
    happened: str | None = None
    known: str | None = None
    known_after: str | None = None
    current_state: bool = False
    unique: tuple[str, ...] = ()
    fresh_days: int | None = Field(default=None, ge=0)
    columns: dict[str, Annotated[Column, BeforeValidator(_column)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if sum(x is not None for x in (self.table, self.file, self.query)) != 1:
            raise ValueError("say exactly one of table, file, query")
        if self.known and self.known_after:
            raise ValueError("say known or known_after, not both")
        if self.known_after:
            if not self.happened:
                raise ValueError("known_after counts from `happened`, which is missing")
            if self.known_after != MEASURED and not _SPAN.match(self.known_after):
                raise ValueError(f'known_after = "{self.known_after}": say "115 days", "1 month" or "{MEASURED}"')
        if self.current_state and (self.known or self.known_after):
            raise ValueError("a current_state source has no known-at: it is refused for past leads")
        return self

    @property
    def has_history(self) -> bool:
        """Whether its rows say when they became known."""
        return self.known is not None or self.known_after is not None

    def late(self) -> dict[str, str]:
        """Return column -> the column that says when it became known, for columns later than their row."""
        return {name: column.known for name, column in self.columns.items() if column.known}

    def lag(self) -> tuple[int, str]:
        """Return the declared lag as (count, unit); zero days when rows carry their own known-at.

        Raises ValueError for a lag that has still to be measured.

        >>> Source(table="t", key="k", happened="on", known_after="115 days").lag()
        (115, 'day')
        """
        if self.known_after is None:
            return (0, "day")
        found = _SPAN.match(self.known_after)
        if not found:
            raise ValueError("the lag of this source has still to be measured")
        return (int(found[1]), found[2])

    def with_lag(self, days: int) -> Source:
        """Return the source with a measured lag in place of the word `measured`."""
        return self.model_copy(update={"known_after": f"{days} days"})


def view_name(source: str) -> str:
    """Return the name under which a run sees a source.

    >>> view_name("employment")
    'source_employment'
    """
    return f"source_{source}"
