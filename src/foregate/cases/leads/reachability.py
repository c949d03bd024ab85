"""Proof that a tier can be reached: its condition true, no earlier rule true, every declared fact kept."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from fractions import Fraction
from itertools import chain
from typing import Any

from sqlglot import exp

from foregate.cases.leads import value_sets
from foregate.cases.leads.conditions import DIALECT
from foregate.cases.leads.refusals import RefusalError
from foregate.cases.leads.value_sets import BOOLEAN, EVERYTHING, NOTHING, ONLY_NULL, ValueSet

# Limits of the search, after which a question stays open: ways to meet one formula, and looks at such ways in all.
MOST_CASES = 4096
MOST_LOOKS = 200_000

# One way to meet a condition: what each column may then be. A column that is not named may be anything.
Case = dict[str, ValueSet]
# The ways to meet one part of a condition; one of them is enough.
Formula = list[Case]


class Wanted(Enum):
    """What a condition has to come out as; SQL truth has three values, so "not true" is more than "false"."""

    TRUE = "true"
    FALSE = "false"
    NOT_TRUE = "not true"
    NOT_FALSE = "not false"


_UNDER_NOT = {
    Wanted.TRUE: Wanted.FALSE,
    Wanted.FALSE: Wanted.TRUE,
    Wanted.NOT_TRUE: Wanted.NOT_FALSE,
    Wanted.NOT_FALSE: Wanted.NOT_TRUE,
}


@dataclass(frozen=True, slots=True)
class Premise:
    """A condition that has to come out in one way, and the words to call it by."""

    name: str
    tree: exp.Expr
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a row can exist: True, False with the smallest set of premises that forbid it, None if undecided."""

    can_exist: bool | None
    because: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Atom:
    """One comparison: the thing compared, its kind, and the values which make the comparison true or false."""

    key: str
    kind: str
    true: ValueSet
    false: ValueSet

    def values(self, wanted: Wanted) -> ValueSet:
        """Return the values that give the wanted truth."""
        universe = BOOLEAN if self.kind == "boolean" else EVERYTHING
        if wanted is Wanted.TRUE:
            return self.true & universe
        if wanted is Wanted.FALSE:
            return self.false & universe
        return ~(self.true if wanted is Wanted.NOT_TRUE else self.false) & universe


class KindsMixedError(RefusalError):
    """One column is compared with values of different kinds."""


class TooManyCasesError(Exception):
    """The search passed its limit; the question stays open."""


def judge(own: exp.Expr, premises: Sequence[Premise]) -> Finding:
    """Return whether some row makes `own` true while every premise comes out as wanted.

    Functions, LIKE and comparisons between columns count as unknown truths of their own, so "can not exist" is proven,
    "can exist" means no contradiction was found. Undecided after MOST_CASES or MOST_LOOKS.
    """
    try:
        start = _formulas(own, Wanted.TRUE)
        others = [_formulas(premise.tree, premise.wanted) for premise in premises]
        if _exists([*start, *chain(*others)]):
            return Finding(True)
    except TooManyCasesError:
        return Finding(None)
    return Finding(False, _core(start, [premise.name for premise in premises], others))


def check_kinds(trees: Sequence[exp.Expr], where: str) -> None:
    """Raise KindsMixedError when a column is compared with, say, text in one condition and a number in another."""
    seen: dict[str, tuple[str, str]] = {}
    for tree in trees:
        for atom in _atoms(tree):
            if atom.kind == "any":  # NULL goes with every kind
                continue
            kind, first = seen.setdefault(atom.key, (atom.kind, tree.sql(DIALECT)))
            if kind != atom.kind:
                raise KindsMixedError(
                    f"{where}, column {atom.key}",
                    found=f"a {kind} in '{first}' and a {atom.kind} in '{tree.sql(DIALECT)}'",
                    wanted="one kind of value for one column",
                    then="Write dates as DATE '2025-01-31', booleans bare, numbers without quotes.",
                )


def _core(start: list[Formula], names: list[str], others: list[list[Formula]]) -> tuple[str, ...]:
    """Return the names without which the contradiction would go away, by leaving out one at a time."""
    kept = list(range(len(others)))
    for index in reversed(range(len(others))):
        fewer = [i for i in kept if i != index]
        try:
            if not _exists([*start, *chain(*(others[i] for i in fewer))]):
                kept = fewer
        except TooManyCasesError:
            continue
    return tuple(names[i] for i in kept)


def _exists(formulas: list[Formula]) -> bool:
    looks = 0

    def search(case: Case, open_formulas: list[Formula]) -> bool:
        nonlocal looks
        looks += sum(map(len, open_formulas))
        if looks > MOST_LOOKS:
            raise TooManyCasesError
        options = [[met for way in formula if (met := _meet(case, way)) is not None] for formula in open_formulas]
        options = [ways for ways in options if case not in ways]  # what already holds needs no choice
        if not options:
            return True
        # The formula with the fewest ways first: a dead end shows at once.
        narrowest = min(range(len(options)), key=lambda i: len(options[i]))
        rest = options[:narrowest] + options[narrowest + 1 :]
        return any(search(way, rest) for way in options[narrowest])

    return search({}, formulas)


def _meet(one: Case, other: Case) -> Case | None:
    met = dict(one)
    for key, values in other.items():
        both = met[key] & values if key in met else values
        if both.is_empty:
            return None
        met[key] = both
    return met


def _formulas(tree: exp.Expr, wanted: Wanted) -> list[Formula]:
    """Return the parts which all have to be met, each on its own: a long AND needs no product of its parts."""
    tree = tree.unnest()
    if isinstance(tree, exp.Not):
        return _formulas(tree.this, _UNDER_NOT[wanted])
    if isinstance(tree, exp.And | exp.Or) and _needs_both(tree, wanted):
        return [*_formulas(tree.left, wanted), *_formulas(tree.right, wanted)]
    return [_cases(tree, wanted)]


def _needs_both(tree: exp.And | exp.Or, wanted: Wanted) -> bool:
    return isinstance(tree, exp.And) == (wanted in (Wanted.TRUE, Wanted.NOT_FALSE))


def _cases(tree: exp.Expr, wanted: Wanted) -> Formula:
    """Return the disjunctive normal form: each case is a conjunction of allowed values."""
    tree = tree.unnest()
    if isinstance(tree, exp.Not):
        return _cases(tree.this, _UNDER_NOT[wanted])
    if isinstance(tree, exp.And | exp.Or):
        left, right = _cases(tree.left, wanted), _cases(tree.right, wanted)
        return _both(left, right) if _needs_both(tree, wanted) else _either(left, right)
    inner = _truth_test(tree)
    if inner is not None:
        return _cases(inner, Wanted.TRUE if wanted in (Wanted.TRUE, Wanted.NOT_FALSE) else Wanted.NOT_TRUE)
    atom = _atom(tree)
    values = atom.values(wanted)
    return [] if values.is_empty else [{atom.key: values}]


def _both(left: list[Case], right: list[Case]) -> list[Case]:
    if len(left) * len(right) > MOST_CASES:
        raise TooManyCasesError
    return _unlike(met for one in left for other in right if (met := _meet(one, other)) is not None)


def _either(left: list[Case], right: list[Case]) -> list[Case]:
    if len(left) + len(right) > MOST_CASES:
        raise TooManyCasesError
    return _unlike(iter([*left, *right]))


def _unlike(cases: Iterator[Case]) -> list[Case]:
    return list({frozenset(case.items()): case for case in cases}.values())


def _truth_test(tree: exp.Expr) -> exp.Expr | None:
    """Return x of "x IS TRUE", which is never NULL; NOT (x IS TRUE) then is "x not true"."""
    is_test = isinstance(tree, exp.Is) and isinstance(tree.expression, exp.Boolean)
    return tree.this if is_test and tree.expression.this else None


def _atoms(tree: exp.Expr) -> Iterator[Atom]:
    tree = tree.unnest()
    inner = _truth_test(tree)
    if isinstance(tree, exp.Not):
        yield from _atoms(tree.this)
    elif isinstance(tree, exp.And | exp.Or):
        yield from _atoms(tree.left)
        yield from _atoms(tree.right)
    elif inner is not None:
        yield from _atoms(inner)
    else:
        yield _atom(tree)


_COMPARISONS: dict[type[exp.Expr], Callable[[Any], ValueSet]] = {
    exp.LT: lambda value: value_sets.below(value, inclusive=False),
    exp.LTE: lambda value: value_sets.below(value, inclusive=True),
    exp.GT: lambda value: value_sets.above(value, inclusive=False),
    exp.GTE: lambda value: value_sets.above(value, inclusive=True),
    exp.EQ: lambda value: value_sets.exactly([value]),
    exp.NEQ: lambda value: (~value_sets.exactly([value])).without_null(),
}
_TURNED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
}


def _atom(tree: exp.Expr) -> Atom:
    """Return the comparison as sets of values; what is no comparison with a literal becomes a truth of its own."""
    if tree.args.get("negate"):
        plain = tree.copy()
        plain.set("negate", None)
        opposite = _atom(plain)
        return Atom(opposite.key, opposite.kind, opposite.false, opposite.true)
    if type(tree) in _COMPARISONS:
        found = _comparison(tree)
    elif isinstance(tree, exp.Between):
        found = _between(tree)
    elif isinstance(tree, exp.In):
        found = _one_of(tree)
    else:
        found = _null_test(tree) or _constant(tree)
    return found or Atom(tree.sql(DIALECT), "boolean", value_sets.exactly([1]), value_sets.exactly([0]))


def _comparison(tree: exp.Expr) -> Atom | None:
    operator, subject, literal = type(tree), tree.this, _literal(tree.expression)
    if literal is None:
        operator, subject, literal = _TURNED.get(operator, operator), tree.expression, _literal(tree.this)
    if literal is None or _literal(subject) is not None:
        return None
    kind, value = literal
    if kind == "any":  # a comparison with NULL is NULL, whatever the column
        return Atom(_key(subject), kind, NOTHING, NOTHING)
    return _valued(subject, kind, _COMPARISONS[operator](value))


def _between(tree: exp.Between) -> Atom | None:
    low, high = _literal(tree.args["low"]), _literal(tree.args["high"])
    if low is None or high is None or low[0] != high[0] or low[0] == "any":
        return None
    bounds = [low[1], high[1]]
    first, last = sorted(bounds) if tree.args.get("symmetric") else bounds
    values = value_sets.above(first, inclusive=True) & value_sets.below(last, inclusive=True)
    return _valued(tree.this, low[0], values)


def _one_of(tree: exp.In) -> Atom | None:
    literals = [_literal(item) for item in tree.expressions]
    known = [literal for literal in literals if literal is not None and literal[0] != "any"]
    kinds = {kind for kind, _ in known}
    if None in literals or len(kinds) != 1:
        return None
    found = _valued(tree.this, kinds.pop(), value_sets.exactly(value for _, value in known))
    # A NULL in the list: "not in it" can then never be said for sure.
    return found if len(known) == len(literals) else Atom(found.key, found.kind, found.true, NOTHING)


def _null_test(tree: exp.Expr) -> Atom | None:
    if not isinstance(tree, exp.Is | exp.NullSafeEQ | exp.NullSafeNEQ):
        return None
    literal = _literal(tree.expression)
    if literal is None:
        return None
    kind, value = literal
    same = ONLY_NULL if kind == "any" else value_sets.exactly([value])
    true, false = (~same, same) if isinstance(tree, exp.NullSafeNEQ) else (same, ~same)
    return Atom(_key(tree.this), kind, true, false)


def _constant(tree: exp.Expr) -> Atom | None:
    if not isinstance(tree, exp.Boolean | exp.Null):
        return None
    truth = int(tree.this) if isinstance(tree, exp.Boolean) else None
    return Atom("", "any", EVERYTHING if truth == 1 else NOTHING, EVERYTHING if truth == 0 else NOTHING)


def _valued(subject: exp.Expr, kind: str, values: ValueSet) -> Atom:
    return Atom(_key(subject), kind, values, (~values).without_null())


def _key(subject: exp.Expr) -> str:
    return subject.unnest().sql(DIALECT)


def _literal(tree: exp.Expr) -> tuple[str, Any] | None:
    """Return kind and value of a literal; kind "any" is NULL, which goes with every kind."""
    tree = tree.unnest()
    if isinstance(tree, exp.Null):
        return "any", None
    if isinstance(tree, exp.Boolean):
        return "boolean", int(tree.this)
    if isinstance(tree, exp.Literal):
        return ("text", tree.this) if tree.is_string else ("number", _number(tree.this))
    if isinstance(tree, exp.Neg):
        inner = _literal(tree.this)
        return ("number", -inner[1]) if inner is not None and inner[0] == "number" else None
    return _date(tree)


def _number(text: str) -> int | Fraction:
    exact = Fraction(text)  # 0.1 stays 0.1, and 2 ** 53 + 1 is not 2 ** 53
    return exact.numerator if exact.denominator == 1 else exact


def _date(tree: exp.Expr) -> tuple[str, date] | None:
    is_date = isinstance(tree, exp.Cast) and tree.to.is_type("date") and tree.this.is_string
    try:
        return ("date", date.fromisoformat(tree.this.name)) if is_date else None
    except ValueError:
        return None
