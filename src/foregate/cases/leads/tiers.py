"""The tiers of a list, each declared once in tiers.toml: condition, words, promised rate, quota."""

import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlglot import exp

from foregate.cases.leads import conditions, wording
from foregate.cases.leads.reachability import Finding, Premise, Wanted, check_kinds, judge
from foregate.cases.leads.refusals import RefusalError
from foregate.cases.leads.rule_names import BUILT_IN

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
Words = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class TiersUnreadableError(RefusalError):
    """A tiers file that is not there or is not TOML."""


class TierDeclarationWrongError(RefusalError):
    """A key of tiers.toml that is missing, unknown or has a value that can not be."""


class NameTakenError(RefusalError):
    """Two rules of one name, or a rule named as one of the list's own rules."""


class UnreachableTierError(RefusalError):
    """A tier that no person can ever be in."""


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Tier(_Declared):
    """A group of people worth calling: who is in it, what the team expects of it, how many places it has."""

    name: Name
    words: Words
    when: Words
    promised_rate: Share
    quota: int = Field(ge=0)
    crm_value: str | None = None


class Exclusion(_Declared):
    """People who are never called, and why."""

    name: Name
    words: Words
    when: Words


class Standard(_Declared):
    """Everybody whom no tier took."""

    name: Name
    promised_rate: Share
    crm_value: str | None = None


class Facts(_Declared):
    """What the data always keep: predicates that are never false on any row, in the proof and checked on the data."""

    always: Annotated[tuple[Words, ...], Field(strict=False)] = ()


class TierRules(_Declared):
    """All that tiers.toml declares; the first tier that matches takes the person."""

    tier: Annotated[tuple[Tier, ...], Field(min_length=1, strict=False)]
    exclusion: Annotated[tuple[Exclusion, ...], Field(strict=False)] = ()
    standard: Standard
    facts: Facts = Facts()


class Unreachable(BaseModel):
    """A tier that no row can reach, and the smallest set of rules or facts that keeps everybody out of it."""

    model_config = ConfigDict(frozen=True)
    tier: str
    because: tuple[str, ...]


def load(path: Path) -> TierRules:
    """Return the rules of a tiers file, checked and with every tier proven reachable or open to doubt.

    Raises TiersUnreadableError, TierDeclarationWrongError, NameTakenError, ConditionNotSqlError,
    ConditionRefusedError, WordsWrongError, KindsMixedError, UnreachableTierError.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TiersUnreadableError(
            str(path),
            found=f"{error}",
            wanted="a readable tiers file",
            then="Mend the path, or start with `foregate init`.",
        ) from error
    return read(text, str(path))


def read(text: str, file: str = "tiers.toml") -> TierRules:
    """Return the rules written in `text`; `file` is the name used in messages. Raises as `load` does."""
    try:
        declared = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TiersUnreadableError(file, found=f"{error}", wanted="TOML", then="Mend the line.") from error
    try:
        rules = TierRules.model_validate(declared)
    except ValidationError as error:
        raise _declared_wrong(error, declared, file) from error
    check(rules, file)
    return rules


def check(rules: TierRules, file: str = "tiers.toml") -> None:
    """Raise what `load` raises, for rules that were made in code."""
    _check_names(rules, file)
    for kind, rule in _named_rules(rules):
        wording.fields(rule.words, f"{file}, {kind} {rule.name}, key words")
    check_kinds([*(tree for _, tree in _trees(rules, file)), *_facts(rules, file).values()], file)
    for unreachable in prove(rules, file):
        raise UnreachableTierError(
            f"{file}, tier {unreachable.tier}, key when",
            found="a condition that no person can meet: " + _because(unreachable),
            wanted="a tier that somebody can be in",
            then="Narrow what stands before it, mend the condition, or remove the tier.",
        )


def columns(rules: TierRules) -> set[str]:
    """Return every column that a condition, a fact or the words of a rule read, in lower case."""
    found = {name for _, rule in _named_rules(rules) for name in wording.columns_in(rule.words, f"rule {rule.name}")}
    for tree in [*(tree for _, tree in _trees(rules, "tiers.toml")), *_facts(rules, "tiers.toml").values()]:
        found |= conditions.columns_of(tree)
    return found


def case_expression(rules: TierRules, dialect: str = conditions.DIALECT) -> str:
    """Return the SQL expression that names a row's tier: first match wins, a NULL condition is no match.

    >>> rules = read('''
    ... [[tier]]
    ... name = "SMALL"
    ... words = "a firm of {firm_reps}"
    ... when = "firm_reps <= 10"
    ... promised_rate = 0.1
    ... quota = 300
    ... [standard]
    ... name = "STANDARD"
    ... promised_rate = 0.033
    ... ''')
    >>> case_expression(rules)
    "CASE WHEN firm_reps <= 10 THEN 'SMALL' ELSE 'STANDARD' END"
    """
    branches = [
        exp.If(this=_tree(tier.when, f"tier {tier.name}"), true=exp.Literal.string(tier.name)) for tier in rules.tier
    ]
    return exp.Case(ifs=branches, default=exp.Literal.string(rules.standard.name)).sql(dialect=dialect)


def exclusion_expressions(rules: TierRules, dialect: str = conditions.DIALECT) -> dict[str, str]:
    """Return a true-or-false SQL expression per column `excluded_<name>`; a NULL condition excludes nobody."""
    return {
        f"excluded_{exclusion.name}": exp.Coalesce(
            this=exp.Paren(this=_tree(exclusion.when, f"exclusion {exclusion.name}")), expressions=[exp.false()]
        ).sql(dialect=dialect)
        for exclusion in rules.exclusion
    }


def violation_expressions(rules: TierRules, dialect: str = conditions.DIALECT) -> dict[str, str]:
    """Return, per declared fact, a SQL expression that is true on rows which break it.

    A proof is worth no more than its facts, so a gate should count these rows and want none.
    """
    return {
        fact: exp.Coalesce(this=exp.Not(this=exp.Paren(this=tree)), expressions=[exp.false()]).sql(dialect=dialect)
        for fact, tree in _facts(rules, "tiers.toml").items()
    }


def prove(rules: TierRules, file: str = "tiers.toml") -> list[Unreachable]:
    """Return the tiers that no row can reach; the quiet ones among the rest may be undecided, see `undecided`.

    A tier is reached by a row that makes its condition true, no earlier tier's condition true, no exclusion true (a
    tier with a quota is there to be listed) and no declared fact false.
    """
    found = findings(rules, file)
    return [
        Unreachable(tier=name, because=finding.because) for name, finding in found.items() if finding.can_exist is False
    ]


def undecided(rules: TierRules, file: str = "tiers.toml") -> list[str]:
    """Return the tiers whose proof would have had to look at too many cases: cannot prove either way."""
    return [name for name, finding in findings(rules, file).items() if finding.can_exist is None]


def findings(rules: TierRules, file: str = "tiers.toml") -> dict[str, Finding]:
    """Return, per tier in declared order, whether a row can reach it."""
    facts = [Premise(f"the fact '{fact}'", tree, Wanted.NOT_FALSE) for fact, tree in _facts(rules, file).items()]
    trees = dict(_trees(rules, file))
    excluded = [Premise(f"exclusion {rule.name}", trees[rule.name], Wanted.NOT_TRUE) for rule in rules.exclusion]
    earlier: list[Premise] = []
    found = {}
    for tier in rules.tier:
        premises = [*facts, *(excluded if tier.quota else []), *earlier]
        found[tier.name] = judge(trees[tier.name], premises)
        earlier.append(Premise(f"tier {tier.name}", trees[tier.name], Wanted.NOT_TRUE))
    return found


def narrative(rule: Tier | Exclusion, row: Mapping[str, Any]) -> str:
    """Return the rule's words for one person; a value that is missing becomes "unknown".

    >>> rule = Exclusion(name="large_firm", words="{firm_name} has {firm_reps} people", when="firm_reps > 500")
    >>> narrative(rule, {"firm_name": "Acme", "firm_reps": None})
    'Acme has unknown people'
    """
    return wording.fill(rule.words, row)


def _tree(condition: str, where: str) -> exp.Expr:
    return conditions.parse(condition, where)


def _named_rules(rules: TierRules) -> list[tuple[str, Tier | Exclusion]]:
    return [*(("tier", tier) for tier in rules.tier), *(("exclusion", exclusion) for exclusion in rules.exclusion)]


def _trees(rules: TierRules, file: str) -> list[tuple[str, exp.Expr]]:
    return [
        (rule.name, _tree(rule.when, f"{file}, {kind} {rule.name}, key when")) for kind, rule in _named_rules(rules)
    ]


def _facts(rules: TierRules, file: str) -> dict[str, exp.Expr]:
    return {fact: _tree(fact, f"{file}, [facts], key always") for fact in rules.facts.always}


def _check_names(rules: TierRules, file: str) -> None:
    names = [*(rule.name for _, rule in _named_rules(rules)), rules.standard.name]
    # Decisions carry these names, so a rule must not hide behind one of the list's own.
    for name, count in Counter(name.lower() for name in names).items():
        if count > 1 or name in BUILT_IN:
            whose = "the list's own rules" if name in BUILT_IN else f"{count} rules"
            raise NameTakenError(
                f"{file}, name {name}",
                found=f"the name on {whose}",
                wanted="a name of its own for each tier, exclusion and the standard, whatever the case of letters",
                then="Rename one.",
            )


def _because(unreachable: Unreachable) -> str:
    if not unreachable.because:
        return "it contradicts itself"
    return "everybody it describes is ruled out or taken by " + " and ".join(unreachable.because)


def _declared_wrong(error: ValidationError, declared: Mapping[str, Any], file: str) -> TierDeclarationWrongError:
    first, *others = error.errors()
    path = [str(step) for step in first["loc"]]
    where = ", ".join([file, *_owner(first["loc"], declared), f"key {path[-1]}"])
    is_unknown, is_missing = first["type"] == "extra_forbidden", first["type"] == "missing"
    return TierDeclarationWrongError(
        where,
        found="an unknown key" if is_unknown else "no such key" if is_missing else repr(first["input"]),
        wanted="only known keys" if is_unknown else "a value" if is_missing else first["msg"].lower(),
        then=f"Edit the key; {len(others)} more of its kind follow." if others else "Edit the key.",
    )


def _owner(place: tuple[int | str, ...], declared: Mapping[str, Any]) -> list[str]:
    """Return the words for the table a key stands in: the tier by its name where it has one."""
    if len(place) >= 2 and isinstance(place[1], int):
        table = declared[str(place[0])][place[1]]
        name = table.get("name") if isinstance(table, dict) else None
        return [f"{place[0]} {name or place[1] + 1}"]
    return [f"[{place[0]}]"] if len(place) > 1 else []
