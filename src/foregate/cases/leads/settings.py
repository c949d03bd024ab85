"""`[leads]` of foregate.toml: which table holds the leads, which dates, which model, which gates are moved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from foregate.cases.leads.list_settings import ListSettings
from foregate.cases.leads.matrix import MatrixSettings
from foregate.core.errors import DataError
from foregate.core.gate import Gate
from foregate.lifecycle.moved import GateMove, moved
from foregate.modeling.boosted import TreeSettings
from foregate.warehouse.features import AT_CONTACT


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dates(_Settings):
    """Windows in days, all counted back from the one as-of date."""

    train_start: date | None = None
    train_days: int = Field(default=540, ge=60)
    test_days: int = Field(default=60, ge=7)
    embargo_days: int = Field(default=60, ge=1)
    backtest_periods: int = Field(default=4, ge=1, le=12)
    backtest_days: int = Field(default=60, ge=7)


class Maturity(_Settings):
    """The window after which a lead's outcome counts: the days by which `share` of conversions have come."""

    share: float = Field(default=0.9, gt=0, lt=1)
    horizon_days: int = Field(default=180, ge=1)
    at_least_days: int = Field(default=14, ge=0)
    at_most_days: int = Field(default=90, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.at_least_days <= self.at_most_days <= self.horizon_days:
            raise ValueError("wanted at_least_days <= at_most_days <= horizon_days")
        return self


class Selection(_Settings):
    """Features that must not be used, that must be there, and that key or feed others but are not learned from."""

    forbidden: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    not_learned: tuple[str, ...] = ()
    collinear_above: float = Field(default=0.95, gt=0, le=1)


class Population(_Settings):
    """The people to score today; without it, the leads whose outcome is still open are scored.

    The columns the list reads are looked for under these names; one that the source lacks is taken as unknown.
    """

    source: str
    person: str
    lead: str = "lead_id"
    firm: str = "firm_id"
    firm_name: str = "firm_name"
    status: str = "lead_status"
    last_contacted: str = "last_contacted_on"
    do_not_call: str = "do_not_call"
    linkedin: str = "has_linkedin"


class Owners(_Settings):
    """Who works the list: the table and the condition that makes an owner eligible."""

    source: str
    owner: str = "owner_id"
    eligible: str = "true"


def _known(value: object) -> object:
    return {"known": value} if isinstance(value, str) else value


class ContactColumn(_Settings):
    """A lead's own column and when it is known: `at contact`, or from the day in another column."""

    known: str


def check_lead_columns(settings: LeadsSettings, there: Mapping[str, str], file: str) -> None:
    """Raise DataError for a column that `[leads]` names and the leads lack, or a day that is not one."""
    named = {key: getattr(settings, key) for key in ("lead", "person", "contacted", "converted")}
    named |= {f"keys {name}": name for name in settings.keys} | {f"columns {name}": name for name in settings.columns}
    for key, column in named.items():
        if column not in there:
            raise DataError(
                f"{file} [leads] {key}",
                found=f"no column `{column}` in source {settings.source}",
                wanted=f"one of {', '.join(there)}",
                then="Correct the name, or the data.",
            )
    _check_known(settings, file)
    for key in ("contacted", "converted"):
        kind = there[named[key]].upper()
        if not kind.startswith(("DATE", "TIMESTAMP")) and kind != '"NULL"':
            raise DataError(
                f"{file} [leads] {key}",
                found=f"`{named[key]}` of type {kind}",
                wanted="a date or a timestamp",
                then="Cast it in a query source, as in select strptime(day, '%d.%m.%Y')::date as day, ...",
            )


def _check_known(settings: LeadsSettings, file: str) -> None:
    """Raise DataError for a column whose day nobody declares, and for an outcome called known at contact."""
    for name, column in settings.columns.items():
        if column.known != AT_CONTACT and column.known not in settings.columns:
            raise DataError(
                f"{file} [leads.columns] {name}",
                found=f"known from the day in `{column.known}`, which [leads.columns] does not declare",
                wanted=f'"{AT_CONTACT}", or a column declared beside it',
                then=f'Say "{AT_CONTACT}", or say {column.known} = "{column.known}" there too if that is its day.',
            )
        if name == settings.converted and column.known == AT_CONTACT:
            raise DataError(
                f"{file} [leads.columns] {name}",
                found="the outcome, called known at contact",
                wanted="columns that are known before the outcome",
                then="Leave it out.",
            )


def check_list_columns(settings: LeadsSettings, there: Mapping[str, Mapping[str, str]], file: str) -> None:
    """Raise DataError where the list's rules need a column that the people to score do not have."""
    place = settings.people()
    if place.source not in there:
        raise DataError(
            f"{file} [leads.population] source",
            found=repr(place.source),
            wanted=f"one of {', '.join(there)}",
            then="Declare the people's table as a source.",
        )
    have = there[place.source]
    needed = {key: "it is named there" for key in place.model_fields_set - {"source"}}
    if settings.list.closed_statuses:
        needed["status"] = "[leads.list] closed_statuses reads it"
    if settings.list.no_linkedin_cap is not None:
        needed["linkedin"] = "[leads.list] no_linkedin_cap reads it"
    for key, why in sorted(needed.items()):
        column = getattr(place, key)
        if column not in have:
            raise DataError(
                f"{file} [leads.population] {key}",
                found=f"no column `{column}` in source {place.source}",
                wanted=f"the column: {why}, and a rule without its column stops nobody",
                then="Correct the name, add the column in a query source, or remove the setting.",
            )


class LeadsSettings(_Settings):
    """One lead-scoring case.

    `unit`: the column by which a rollout assigns people to versions, as a firm that must not be split; else the person.
    """

    source: str = "leads"
    lead: str = "lead_id"
    person: str = "person_id"
    contacted: str = "contacted_on"
    converted: str = "converted_on"
    only: str = "true"
    keys: tuple[str, ...] = ()
    columns: dict[str, Annotated[ContactColumn, BeforeValidator(_known)]] = Field(default_factory=dict)
    dates: Dates = Dates()
    maturity: Maturity = Maturity()
    selection: Selection = Selection()
    model: TreeSettings = TreeSettings()
    population: Population | None = None
    owners: Owners | None = None
    matrix: MatrixSettings = MatrixSettings()
    list: ListSettings = ListSettings()
    margin_auc: float = Field(default=0.01, ge=0)
    unit: str | None = None
    gates: dict[str, GateMove] = Field(default_factory=dict)

    def people(self) -> Population:
        """Return where the people to score stand: the declared population, else the leads themselves."""
        return self.population or Population(source=self.source, person=self.lead, lead=self.lead)

    def moved(self, gate: Gate) -> Gate:
        """Return the gate as this project wants it."""
        return moved(gate, self.gates)
