"""Counts by change: window counts as differences of running counts, one pass over the source for all leads.

A row counts in the eyes of a day `as_of` when it was known before it and its condition holds. Each atom of the
condition that compares a date with `as_of` turns true, or stops being true, on one day; a conjunction is therefore
true on one interval of days, [enter, leave). The count on any day is the sum of +1 at every enter and -1 at every
leave up to it. A disjunction is counted by inclusion and exclusion.

Most rows of a long history are over before the first lead, or begin after the last. Each atom is therefore also asked
of the first or the last as_of alone (`bounds`): a comparison with a constant, which an engine answers while it reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from sqlglot import exp
from sqlglot.optimizer.normalize import normalize
from sqlglot.optimizer.simplify import simplify

from foregate.warehouse.days import day, known_day, plus_days
from foregate.warehouse.features import AS_OF, FeatureFile
from foregate.warehouse.sources import Source, view_name

_DAY, _PROBE, _ENTER, _LEAVE = "day__", "probe__", "enter__", "leave__"
_FIRST, _LAST = "first__", "last__"
_NEVER = exp.cast(exp.Literal.string("9999-12-31"), "date")
_MOST_ALTERNATIVES = 3
_WHOLE_DAYS = frozenset({"DAY", "DAYS", "WEEK", "WEEKS"})
_WHOLE_MONTHS = frozenset({"MONTH", "MONTHS", "QUARTER", "QUARTERS", "YEAR", "YEARS"})


@dataclass(frozen=True)
class _Stay:
    """When a row counts: it enters on the last of `enters`, leaves on the first of `leaves`, if `rows` hold.

    `bounds` follow from the others for any day between the first and the last as_of (columns of those names stand for
    them). `seen` and `unseen` are the late columns that must be known, or must not be.
    """

    enters: tuple[exp.Expr, ...] = ()
    leaves: tuple[exp.Expr, ...] = ()
    rows: tuple[exp.Expr, ...] = ()
    bounds: tuple[exp.Expr, ...] = ()
    seen: frozenset[str] = frozenset()
    unseen: frozenset[str] = frozenset()

    def meet(self, other: _Stay) -> _Stay:
        return _Stay(
            self.enters + other.enters,
            self.leaves + other.leaves,
            self.rows + other.rows,
            self.bounds + other.bounds,
            self.seen | other.seen,
            self.unseen | other.unseen,
        )

    @property
    def possible(self) -> bool:
        return not self.seen & self.unseen


class _NotCountable(Exception):  # noqa: N818 - a signal inside this module, never seen outside
    """The aggregate or condition needs the pairs."""


def counts_by_change(
    file: FeatureFile, source: Source, types: Mapping[str, str], pairs: str, key: str
) -> list[tuple[str, exp.Query]] | None:
    """Return the steps (name, select) that end in one row per (key, as_of) with the file's features.

    None when any aggregate is not a plain count, or a condition does more than compare dates with as_of: such a file
    takes the plan that joins pairs, which gives the same answers.
    """
    try:
        outputs, counts = _lifted(file)
        stays = [_signed_stays(condition, source, types) for condition in counts]
    except _NotCountable:
        return None
    branches = [
        _stays(stay, [sign if i == place else 0 for i in range(len(counts))], source, file.source or "", pairs, key)
        for place, signed in enumerate(stays)
        for sign, stay in signed
    ]
    if not branches:
        return None
    leaving = any(stay.leaves for signed in stays for _, stay in signed)
    prefix = file.name
    return [
        (f"{prefix}_stays", _all(branches)),
        (f"{prefix}_changes", _changes(f"{prefix}_stays", pairs, key, len(counts), leaving=leaving)),
        (f"{prefix}_running", _running(f"{prefix}_changes", pairs, key, len(counts))),
        (prefix, exp.select(key, AS_OF, *outputs).from_(f"{prefix}_running").where(exp.column(_PROBE).eq(1))),
    ]


def _lifted(file: FeatureFile) -> tuple[list[exp.Expr], list[exp.Expr]]:
    """Return the outputs with every count replaced by a column, and the condition of each count."""
    conditions: list[exp.Expr] = []

    def lift(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Filter | exp.Count):
            conditions.append(_condition(node, file.where))
            return exp.column(_count(len(conditions) - 1))
        if isinstance(node, exp.AggFunc):
            raise _NotCountable
        for name, child in list(node.args.items()):
            if isinstance(child, exp.Expr):
                node.set(name, lift(child))
            elif isinstance(child, list):
                node.set(name, [lift(c) if isinstance(c, exp.Expr) else c for c in child])
        return node

    outputs = [exp.alias_(lift(tree.copy()), name) for name, tree in file.outputs.items()]
    return outputs, conditions


def _condition(node: exp.Expr, where: exp.Expr | None) -> exp.Expr:
    parts = [where.copy()] if where else []
    if isinstance(node, exp.Filter):
        parts.append(node.expression.this.copy())
        node = node.this
    if not isinstance(node, exp.Count) or isinstance(node.this, exp.Distinct):
        raise _NotCountable
    if isinstance(node.this, exp.Case) and len(node.this.args["ifs"]) == 1 and not node.this.args.get("default"):
        parts.append(node.this.args["ifs"][0].this.copy())
    elif not isinstance(node.this, exp.Star | exp.Literal):
        parts.append(node.this.copy().is_(exp.null()).not_())
    return exp.and_(*parts) if parts else exp.true()


def _signed_stays(condition: exp.Expr, source: Source, types: Mapping[str, str]) -> list[tuple[int, _Stay]]:
    """Return the stays whose signed sum is the condition, by inclusion and exclusion over its alternatives."""
    normal = normalize(simplify(condition.copy()), dnf=True)
    alternatives = list(normal.flatten()) if isinstance(normal, exp.Or) else [normal]
    if len(alternatives) > _MOST_ALTERNATIVES:
        raise _NotCountable
    stays = [_stay(alternative, source, types) for alternative in alternatives]
    signed = []
    for size in range(1, len(stays) + 1):
        for chosen in combinations(stays, size):
            met = chosen[0]
            for stay in chosen[1:]:
                met = met.meet(stay)
            if met.possible:
                signed.append((1 if size % 2 else -1, met))
    return signed


def _stay(alternative: exp.Expr, source: Source, types: Mapping[str, str]) -> _Stay:
    bare = alternative.unnest()
    atoms = list(bare.flatten()) if isinstance(bare, exp.And) else [bare]
    known = known_day(source)
    stay = _Stay(
        enters=(_next(known),),
        rows=(known.copy().is_(exp.null()).not_(),),
        bounds=(known.copy() < exp.column(_LAST),),
    )
    for atom in atoms:
        stay = stay.meet(_atom(atom.unnest(), source, types))
    return stay


def _atom(atom: exp.Expr, source: Source, types: Mapping[str, str]) -> _Stay:
    names = {c.name for c in atom.find_all(exp.Column)}
    late = source.late()
    if AS_OF not in names and not names & set(late):
        return _Stay(rows=(atom.copy(),))
    negated = isinstance(atom, exp.Not)
    core = atom.this.unnest() if isinstance(atom, exp.Not) else atom
    if isinstance(core, exp.Is) and isinstance(core.this, exp.Column) and isinstance(core.expression, exp.Null):
        return _presence(core.this, late[core.this.name], there=negated)
    if type(core) in _FLIPPED:
        return _comparison(_negated(core) if negated else core, late, types)
    raise _NotCountable


_FLIPPED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.LT: exp.GT,
    exp.GT: exp.LT,
    exp.LTE: exp.GTE,
    exp.GTE: exp.LTE,
}
_OPPOSITE: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.LT: exp.GTE,
    exp.GTE: exp.LT,
    exp.GT: exp.LTE,
    exp.LTE: exp.GT,
}


def _negated(core: exp.Expr) -> exp.Expr:
    return _OPPOSITE[type(core)](this=core.this.copy(), expression=core.expression.copy())


def _presence(column: exp.Expr, known: str, *, there: bool) -> _Stay:
    """Return when a late column is seen (or is still NULL in the eyes of that day)."""
    value, seen = column.copy(), day(exp.column(known))
    name = frozenset({value.name})
    both = exp.and_(value.is_(exp.null()).not_(), seen.copy().is_(exp.null()).not_())
    if there:
        return _Stay(enters=(_next(seen),), rows=(both,), bounds=(seen.copy() < exp.column(_LAST),), seen=name)
    still = exp.or_(value.copy().is_(exp.null()), seen.copy().is_(exp.null()), seen.copy() >= exp.column(_FIRST))
    return _Stay(leaves=(exp.case().when(both, _next(seen)),), bounds=(still,), unseen=name)


def _comparison(core: exp.Expr, late: Mapping[str, str], types: Mapping[str, str]) -> _Stay:
    """Return when `date column <op> as_of +- interval` holds."""
    left, right = core.this.unnest(), core.expression.unnest()
    operator = type(core)
    if isinstance(right, exp.Column) and right.name != AS_OF:
        left, right, operator = right, left, _FLIPPED[operator]
    if not isinstance(left, exp.Column) or left.name == AS_OF or types.get(left.name, "").upper() != "DATE":
        raise _NotCountable
    first = _first_day(left, right, strictly=operator in (exp.LT, exp.GTE))
    begins = operator in (exp.LT, exp.LTE)
    stay = _Stay(
        enters=(first,) if begins else (),
        leaves=() if begins else (first,),
        rows=(left.copy().is_(exp.null()).not_(),),
        bounds=(operator(this=left.copy(), expression=_asked_of(right, _LAST if begins else _FIRST)),),
    )
    return stay.meet(_presence(left, late[left.name], there=True)) if left.name in late else stay


def _asked_of(moment: exp.Expr, end: str) -> exp.Expr:
    """Return the moment with as_of at one end of the leads: later as_of, later moment, so an end bounds them all."""
    return day(moment.copy().transform(lambda n: exp.column(end) if isinstance(n, exp.Column) else n))


def _first_day(column: exp.Expr, moment: exp.Expr, *, strictly: bool) -> exp.Expr:
    """Return the first day d on which the moment, with as_of = d, is at least (strictly: after) the column.

    Months clamp at their ends (31 March - 1 month = 28 February), so the shifted day is looked for among the five days
    from column + interval on; day intervals need no search.
    """
    if isinstance(moment, exp.Column) and moment.name == AS_OF:
        return _next(column) if strictly else day(column)
    if not isinstance(moment, exp.Sub | exp.Add) or not isinstance(moment.expression, exp.Interval):
        raise _NotCountable
    if not isinstance(moment.this, exp.Column) or moment.this.name != AS_OF:
        raise _NotCountable
    interval, back = moment.expression, exp.Add if isinstance(moment, exp.Sub) else exp.Sub
    unit = interval.text("unit").upper()
    if unit not in _WHOLE_DAYS | _WHOLE_MONTHS:
        raise _NotCountable
    base = day(back(this=day(column), expression=interval.copy()))
    if unit in _WHOLE_DAYS:
        return _next(base) if strictly else base
    compare = exp.GT if strictly else exp.GTE
    found = exp.case()
    for later in range(4):
        candidate = plus_days(base, later)
        shifted = type(moment)(this=candidate.copy(), expression=interval.copy())
        found = found.when(compare(this=day(shifted), expression=day(column)), candidate)
    return found.else_(plus_days(base, 4))


def _stays(stay: _Stay, values: Sequence[int], source: Source, name: str, pairs: str, key: str) -> exp.Select:
    """Return one row per source row that counts on some day between the first and the last as_of."""
    ends = {_FIRST: exp.Min, _LAST: exp.Max}

    def at_end(node: exp.Expr) -> exp.Expr:
        """Compute the bound where the pairs are read, so that the source is compared with a constant."""
        if not isinstance(node, exp.Cast | exp.Column):
            return node
        found = next((c.name for c in node.find_all(exp.Column) if c.name in ends), None)
        if found is None:
            return node
        end = ends[found](this=exp.column(AS_OF))
        inner = node.transform(lambda n: end.copy() if isinstance(n, exp.Column) else n)
        return exp.select(inner).from_(pairs).subquery()

    bounds = [bound.copy().transform(at_end) for bound in stay.bounds]
    leave = _most(tuple(_or_never(x) for x in stay.leaves), exp.Least) if stay.leaves else _NEVER.copy()
    inner = exp.select(
        exp.column(source.key).as_(key),
        exp.alias_(_most(stay.enters, exp.Greatest), _ENTER),
        exp.alias_(leave, _LEAVE),
        copy=False,
    ).from_(view_name(name), copy=False)
    keys = exp.select(key).from_(pairs)
    inner = inner.where(*stay.rows, *bounds, exp.column(source.key).isin(query=keys), copy=False)
    return (
        exp.select(key, _ENTER, _LEAVE, *(exp.alias_(exp.Literal.number(v), _count(i)) for i, v in enumerate(values)))
        .from_(exp.alias_(exp.Subquery(this=inner), "found", table=True))
        .where(
            exp.column(_ENTER) < exp.column(_LEAVE),
            exp.column(_ENTER) <= _end(pairs, exp.Max),
            exp.column(_LEAVE) > _end(pairs, exp.Min),
        )
    )


def _changes(stays: str, pairs: str, key: str, counts: int, *, leaving: bool) -> exp.Select:
    """Return the sum of changes by key and day.

    Days before the first as_of of the pairs matter only by their sum, so they are moved up to it: most of a long
    history then folds into one row per key.
    """
    moved = exp.Greatest(this=exp.column(_ENTER), expressions=[_end(pairs, exp.Min)])
    names = [_count(i) for i in range(counts)]
    changes = [exp.select(key, exp.alias_(moved, _DAY), *names).from_(stays)]
    if leaving:
        back = [exp.alias_(exp.Neg(this=exp.column(n)), n) for n in names]
        in_time = exp.column(_LEAVE) <= _end(pairs, exp.Max)
        changes.append(exp.select(key, exp.column(_LEAVE).as_(_DAY), *back).from_(stays).where(in_time))
    sums = [exp.alias_(exp.Sum(this=exp.column(n)), n) for n in names]
    merged = exp.alias_(exp.Subquery(this=_all(changes)), "changes", table=True)
    return exp.select(key, _DAY, *sums).from_(merged).group_by(key, _DAY)


def _end(pairs: str, which: type[exp.Min] | type[exp.Max]) -> exp.Expr:
    return exp.select(which(this=exp.column(AS_OF))).from_(pairs).subquery()


def _all(selects: Sequence[exp.Query]) -> exp.Query:
    union = selects[0]
    for select in selects[1:]:
        union = exp.union(union, select, distinct=False)
    return union


def _running(changes: str, pairs: str, key: str, counts: int) -> exp.Select:
    """Return running counts over changes and probes together; on one day the changes come first."""
    zeros = [exp.alias_(exp.Literal.number(0), _count(i)) for i in range(counts)]
    moved = exp.select(
        key,
        exp.alias_(exp.column(_DAY), AS_OF),
        exp.alias_(exp.Literal.number(0), _PROBE),
        *(exp.column(_count(i)) for i in range(counts)),
    ).from_(changes)
    asked = exp.select(key, AS_OF, exp.alias_(exp.Literal.number(1), _PROBE), *zeros).from_(pairs)
    merged = exp.alias_(exp.Subquery(this=exp.union(moved, asked, distinct=False)), "merged", table=True)
    over = [
        exp.alias_(
            exp.cast(
                exp.Window(
                    this=exp.Sum(this=exp.column(_count(i))),
                    partition_by=[exp.column(key)],
                    order=exp.Order(
                        expressions=[exp.Ordered(this=exp.column(AS_OF)), exp.Ordered(this=exp.column(_PROBE))]
                    ),
                    spec=exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW"),
                ),
                "bigint",
            ),
            _count(i),
        )
        for i in range(counts)
    ]
    return exp.select(key, AS_OF, _PROBE, *over).from_(merged)


def _next(value: exp.Expr) -> exp.Expr:
    return plus_days(value, 1)


def _or_never(moment: exp.Expr) -> exp.Expr:
    return exp.Coalesce(this=moment.copy(), expressions=[_NEVER.copy()])


def _most(moments: Sequence[exp.Expr], which: type[exp.Greatest] | type[exp.Least]) -> exp.Expr:
    copies = [m.copy() for m in moments]
    return copies[0] if len(copies) == 1 else which(this=copies[0], expressions=copies[1:])


def _count(place: int) -> str:
    return f"count_{place}__"
