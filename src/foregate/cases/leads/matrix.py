"""What the model's percentile does to a tier: the model deprioritises, it never promotes past a tier."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlglot import exp

from foregate.cases.leads.conditions import DIALECT
from foregate.cases.leads.refusals import RefusalError
from foregate.cases.leads.tiers import Name, TierRules, Words

Percentile = Annotated[int, Field(ge=1, le=100)]


class MatrixMismatchError(RefusalError):
    """A matrix that speaks of tiers that are not declared, or of a rule that can never act."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class Disagreement(_Settings):
    """Top tiers the model must agree with: below the percentile a person is dropped or joins the standard."""

    tiers: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]
    below_percentile: Percentile
    action: Literal["drop", "demote"] = "drop"


class Backfill(_Settings):
    """The group of well scored standard people that fills the list when the tiers are done."""

    source: Name = Field(alias="from")
    percentile: Percentile
    quota: int = Field(ge=0)
    name: Name
    words: Words = "no tier, but percentile {percentile} of 100 by the model's score"


class MatrixSettings(_Settings):
    """`[leads.matrix]`: percentiles run from 1 (lowest score) to 100; all bounds in percentiles."""

    deprioritise_percentile: int = Field(default=20, ge=0, le=99)
    disagreement: Disagreement | None = None
    backfill: Backfill | None = None


class Action(StrEnum):
    """What happens to a person of one tier at one percentile."""

    NOT_SCORED = "not scored"
    DEPRIORITISED = "deprioritised by the model"
    DISAGREEMENT = "the model disagrees"
    DEMOTED = "demoted to standard"
    BACKFILL = "backfill"
    BELOW_CUT = "standard, below the backfill cut"
    KEPT = "kept"


def check(settings: MatrixSettings, rules: TierRules, file: str = "foregate.toml") -> None:
    """Raise MatrixMismatchError where the matrix and the declared tiers do not fit together."""
    names = [tier.name for tier in rules.tier]
    if settings.disagreement is not None:
        _check_disagreement(settings.disagreement, settings.deprioritise_percentile, names, file)
    if settings.backfill is not None:
        _check_backfill(settings.backfill, rules, file)


def action_expression(settings: MatrixSettings, rules: TierRules, dialect: str = DIALECT) -> str:
    """Return the SQL expression for the action over the columns `tier` and `percentile`.

    A missing percentile has no default: it is 'not scored'.

    >>> from foregate.cases.leads.tiers import Standard, Tier
    >>> tier = Tier(name="T1", words="-", when="a", promised_rate=0.1, quota=1)
    >>> rules = TierRules(tier=(tier,), standard=Standard(name="STANDARD", promised_rate=0.03))
    >>> action_expression(MatrixSettings(deprioritise_percentile=20), rules).split(" WHEN ")[1]
    "percentile IS NULL THEN 'not scored'"
    """
    tier, percentile = exp.column("tier"), exp.column("percentile")
    is_standard = tier.eq(rules.standard.name)
    case = (
        exp.case()
        .when(percentile.is_(exp.null()), _said(Action.NOT_SCORED))
        .when(percentile <= settings.deprioritise_percentile, _said(Action.DEPRIORITISED))
    )
    against = settings.disagreement
    if against is not None:
        disagrees = exp.and_(tier.isin(*against.tiers), percentile < against.below_percentile)
        case = case.when(disagrees, _said(Action.DEMOTED if against.action == "demote" else Action.DISAGREEMENT))
    if settings.backfill is not None:
        case = case.when(exp.and_(is_standard, percentile >= settings.backfill.percentile), _said(Action.BACKFILL))
    return case.when(is_standard, _said(Action.BELOW_CUT)).else_(_said(Action.KEPT)).sql(dialect=dialect)


def action_table(settings: MatrixSettings, rules: TierRules) -> dict[str, Sequence[Action]]:
    """Return, per tier, the action at each percentile 1..100, and at index 0 the action without a score.

    The SQL of `action_expression` is run over all tiers and percentiles, so list and warehouse can not differ.
    """
    import duckdb  # settings are read without the engine

    names = [*(tier.name for tier in rules.tier), rules.standard.name]
    grid = exp.select("tier", exp.maybe_parse(action_expression(settings, rules), dialect=DIALECT).as_("action"))
    grid = (
        grid.from_(exp.to_table("tiers")).join(exp.to_table("percentiles"), join_type="cross").order_by("tier", "step")
    )
    with duckdb.connect() as engine:
        engine.execute("CREATE TABLE tiers AS SELECT unnest($names) AS tier", {"names": names})
        engine.execute(
            "CREATE TABLE percentiles AS SELECT range AS step, nullif(range, 0) AS percentile FROM range(101)"
        )
        rows = engine.execute(grid.sql(dialect=DIALECT)).fetchall()
    table: dict[str, list[Action]] = {name: [] for name in names}
    for name, action in rows:
        table[name].append(Action(action))
    return dict(table)


def _said(action: Action) -> exp.Expr:
    return exp.Literal.string(action.value)


def _check_disagreement(against: Disagreement, lowest: int, names: list[str], file: str) -> None:
    strange = [name for name in against.tiers if name not in names]
    if strange:
        raise MatrixMismatchError(
            f"{file} [leads.matrix.disagreement] tiers",
            found=f"{', '.join(strange)}",
            wanted=f"declared tiers ({', '.join(names)})",
            then="Mend the name, or declare the tier in tiers.toml.",
        )
    if against.below_percentile <= lowest + 1:
        raise MatrixMismatchError(
            f"{file} [leads.matrix.disagreement] below_percentile",
            found=f"{against.below_percentile}, while all up to {lowest} are deprioritised before",
            wanted=f"more than {lowest + 1}, or the rule could never act",
            then="Raise below_percentile or lower deprioritise_percentile.",
        )


def _check_backfill(backfill: Backfill, rules: TierRules, file: str) -> None:
    names = [rules.standard.name, *(tier.name for tier in rules.tier), *(rule.name for rule in rules.exclusion)]
    if backfill.source != rules.standard.name:
        raise MatrixMismatchError(
            f"{file} [leads.matrix.backfill] from",
            found=backfill.source,
            wanted=f"the standard group of tiers.toml ({rules.standard.name})",
            then="Mend the name.",
        )
    if backfill.name.lower() in {name.lower() for name in names}:
        raise MatrixMismatchError(
            f"{file} [leads.matrix.backfill] name",
            found=f"{backfill.name}, which tiers.toml already uses",
            wanted="a name of its own",
            then="Rename the backfill group.",
        )
