"""Point-in-time compilation: feature files to one set-based statement over the rows each lead could have seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from foregate.core.errors import FeatureError
from foregate.warehouse.days import day, known_day
from foregate.warehouse.dialects import written
from foregate.warehouse.features import AGGREGATES, AS_OF, AT_CONTACT, FeatureFile, check_feature
from foregate.warehouse.occupancy import counts_by_change
from foregate.warehouse.sources import Source, view_name

SUBJECT = "subject_id"
_KEY, _THERE = "k__", "there__"


@dataclass(frozen=True)
class Spine:
    """The leads to compute for: a table with subject_id, as_of, the keys, and the columns known at contact.

    `columns` are names and types; `own` names the source whose columns stand on the spine itself, `late` its columns
    that are known only from the day in another column.
    """

    table: str
    columns: Mapping[str, str]
    own: str
    late: Mapping[str, str]


@dataclass(frozen=True)
class Compiled:
    """The statement (a sqlglot tree, to be written in any dialect) and the features it makes, in order.

    `sums_floats`: it adds up floating-point numbers; create its table `in_order`, or the last bits vary.
    """

    tree: exp.Select
    features: tuple[str, ...]
    sums_floats: bool = False

    def sql(self, dialect: str) -> str:
        """Return the statement in an engine's dialect."""
        return written(self.tree, dialect)


def compile_features(
    files: Sequence[FeatureFile],
    sources: Mapping[str, Source],
    columns: Mapping[str, Mapping[str, str]],
    spine: Spine,
    *,
    by_change: bool = True,
    join_types: bool = True,
) -> Compiled:
    """Return the statement that gives one row per lead of the spine: subject_id, as_of and all features.

    `columns` are names and engine types by source. `by_change=False` keeps every file on the plan that joins pairs, the
    slow oracle of the fast one; `join_types=False` leaves keys of different type to a gate. Raises FeatureError for a
    file that reads what was not yet known, a name used twice, or an `of` that nothing provides.
    """
    for file in files:
        if file.source != spine.own:
            check_feature(file, sources, columns)
    ordered = _ordered(files, spine)
    found = _key_types(ordered, columns, spine)
    types = found if join_types else dict.fromkeys(found, "")
    built = exp.select().with_("stage_0", as_=_opened(spine))
    stage, asked = "stage_0", set[str]()
    for place, level in enumerate(_levels(ordered, spine), start=1):
        joined = exp.select(f"{stage}.*").from_(stage)
        for file in level:
            if file.source is None or file.source == spine.own:
                joined.select(*(exp.alias_(t, n) for n, t in _own(file, spine, stage).items()), copy=False)
                continue
            source, theirs = _keyed(sources[file.source], file, columns[file.source]), columns[file.source]
            of = _key_of(file, source, theirs, types, spine)
            pairs = f"{of}_pairs"
            if pairs not in asked:
                built.with_(pairs, as_=_asked(stage, of), copy=False)
                asked.add(pairs)
            for name, step in _answers(file, source, theirs, pairs, by_change):
                built.with_(name, as_=step, copy=False)
            _join(joined, file, stage, of)
        stage = f"stage_{place}"
        built.with_(stage, as_=joined, copy=False)
    names = [name for file in ordered for name in file.outputs]
    final = built.select(*(exp.column(n) for n in (SUBJECT, AS_OF, *names))).from_(stage)
    return Compiled(final, tuple(names), any(_sums_floats(f, columns.get(f.source or "", {})) for f in files))


def _sums_floats(file: FeatureFile, types: Mapping[str, str]) -> bool:
    """Return whether a file adds up floating-point numbers, whose sum depends on the order they come in."""
    adding = (exp.Sum, exp.Avg, exp.Stddev, exp.StddevSamp, exp.Variance)
    added = [c.name for t in file.outputs.values() for a in t.find_all(*adding) for c in a.find_all(exp.Column)]
    return any(types.get(name, "").upper() in {"DOUBLE", "FLOAT", "REAL"} for name in added)


def _asked(stage: str, of: str) -> exp.Select:
    """Return the distinct (key, as_of) of the leads that have the key: what the sources are asked for."""
    there = exp.column(of).is_(exp.null()).not_()
    return exp.select(exp.alias_(exp.column(of), _KEY), exp.column(AS_OF)).distinct().from_(stage).where(there)


def _answers(
    file: FeatureFile, source: Source, columns: Mapping[str, str], pairs: str, by_change: bool
) -> list[tuple[str, exp.Query]]:
    """Return the steps (name, query) of which the last gives the file's features, one row per (key, as_of)."""
    counted = counts_by_change(file, source, columns, pairs, _KEY) if by_change and file.of else None
    return counted or [
        (f"{file.name}_known", _known_rows(file, source, columns, pairs)),
        (file.name, _grouped(file)),
    ]


def _keyed(source: Source, file: FeatureFile, columns: Mapping[str, str]) -> Source:
    """Return the source keyed by its column of the same name as `of`, where it has one; else by its own key."""
    return source.model_copy(update={"key": file.of}) if file.of and file.of in columns else source


def _key_of(
    file: FeatureFile, source: Source, columns: Mapping[str, str], types: Mapping[str, str], spine: Spine
) -> str:
    """Return the column of the leads that keys the file: a feature by its name, a lead's own column renamed."""
    named = file.of or source.key
    _same_type(file, named, source, columns, types)
    return named if named in types and named not in spine.columns else _mine(named)


def _opened(spine: Spine) -> exp.Select:
    """Return the spine with its own columns renamed, so that a feature may bear a column's name and hide it."""
    own = [exp.alias_(exp.column(n), _mine(n)) for n in spine.columns]
    return exp.select(exp.column(SUBJECT), day(exp.column(AS_OF)).as_(AS_OF), *own).from_(exp.to_table(spine.table))


def _mine(column: str) -> str:
    return f"own__{column}"


def _own(file: FeatureFile, spine: Spine, stage: str) -> dict[str, exp.Expr]:
    """Return the outputs over the stage's columns; late ones are NULL in the eyes of anyone before their day."""

    def named(node: exp.Expr) -> exp.Expr:
        return exp.column(node.name, table=stage) if isinstance(node, exp.Column) else node

    if file.source is None:
        return {name: tree.copy().transform(named) for name, tree in file.outputs.items()}
    missing = sorted(file.columns() - set(spine.columns))
    if missing:
        name = missing[0]
        raise FeatureError(
            file.path,
            found=f"the column `{name}` of {spine.own}, which does not say when it becomes known (or is not there)",
            wanted=f"one of {', '.join(spine.columns)}",
            then=f'Correct the name; or, in [leads.columns], say {name} = "{name}" if it is a day filled in when it '
            f'comes, {name} = "<its day\'s column>", or {name} = "{AT_CONTACT}" only if it never changes after.',
        )

    def seen(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column) or node.name == AS_OF:
            return node
        known = spine.late.get(node.name)
        value = exp.column(_mine(node.name))
        return _if_known(value, exp.column(_mine(known))) if known else value

    return {name: tree.copy().transform(seen).transform(named) for name, tree in file.outputs.items()}


def _if_known(value: exp.Expr, known: exp.Expr) -> exp.Expr:
    """Return the value where its day is before as_of, else NULL: a fact of the same day is not yet known."""
    return exp.case().when(exp.LT(this=day(known), expression=exp.column(AS_OF)), value.copy())


def _known_rows(file: FeatureFile, source: Source, types: Mapping[str, str], pairs: str) -> exp.Select:
    """Return every (key, as_of) with the rows known before it that fit; a pair without rows keeps one empty row."""
    late = source.late()
    as_of = exp.column(AS_OF, table="p")

    def seen(name: str) -> exp.Expr:
        value: exp.Expr = exp.column(name, table="s")
        if name not in late:
            return value
        return exp.case().when(day(exp.column(late[name], table="s")) < as_of, value)

    def eyes(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column):
            return node
        return as_of.copy() if node.name == AS_OF else exp.paren(seen(node.name))

    kept: list[exp.Expr] = [exp.column(_KEY, table="p"), as_of.copy()]
    kept += [exp.alias_(seen(name), name) for name in types if name in file.columns()]
    kept.append(exp.alias_(exp.column(source.key, table="s").is_(exp.null()).not_(), _THERE))
    fits: list[exp.Expr] = [
        exp.column(source.key, table="s").eq(exp.column(_KEY, table="p")),
        exp.LT(this=known_day(source, "s"), expression=as_of.copy()),
    ]
    if file.where:
        fits.append(file.where.copy().transform(eyes))
    return (
        exp.select(*kept)
        .from_(exp.alias_(exp.to_table(pairs), "p", table=True))
        .join(
            exp.alias_(exp.to_table(view_name(file.source or "")), "s", table=True),
            on=exp.and_(*fits),
            join_type="left",
        )
    )


def _grouped(file: FeatureFile) -> exp.Select:
    """Return the aggregates over the rows that are there, one row per (key, as_of)."""
    outputs = [exp.alias_(_over_rows(tree.copy()), name) for name, tree in file.outputs.items()]
    return exp.select(exp.column(_KEY), exp.column(AS_OF), *outputs).from_(f"{file.name}_known").group_by(_KEY, AS_OF)


def _over_rows(tree: exp.Expr) -> exp.Expr:
    """Return the expression with every aggregate limited to rows that are there."""
    if isinstance(tree, exp.Filter):
        return _limited(tree.this, exp.and_(exp.column(_THERE), tree.expression.this))
    if isinstance(tree, AGGREGATES):
        return _limited(tree, exp.column(_THERE))
    for key, child in list(tree.args.items()):
        if isinstance(child, exp.Expr):
            tree.set(key, _over_rows(child))
        elif isinstance(child, list):
            tree.set(key, [_over_rows(c) if isinstance(c, exp.Expr) else c for c in child])
    return tree


def _limited(aggregate: exp.Expr, condition: exp.Expr) -> exp.Expr:
    """Return the aggregate over rows that meet a condition, in a form every engine has: CASE, not FILTER.

    A tie of arg_max is broken by the larger value and one of arg_min by the smaller, so that every engine and every
    run gives the same answer: both order by (key, value).
    """
    aggregate = aggregate.copy()
    if isinstance(aggregate, exp.ArgMax | exp.ArgMin):
        value, order = aggregate.this, aggregate.expression
        there = exp.and_(condition, value.copy().is_(exp.null()).not_(), order.copy().is_(exp.null()).not_())
        ranked = exp.Struct(expressions=[_field("o", order), _field("v", value)])
        aggregate.set("expression", exp.case().when(there, ranked))
        return aggregate
    inner = aggregate.this
    if isinstance(inner, exp.Star):
        inner = exp.Literal.number(1)
    if isinstance(inner, exp.Distinct):
        inner.set("expressions", [exp.case().when(condition.copy(), e) for e in inner.expressions])
        return aggregate
    aggregate.set("this", exp.case().when(condition, inner.copy()))
    return aggregate


def _field(name: str, value: exp.Expr) -> exp.Expr:
    return exp.PropertyEQ(this=exp.to_identifier(name), expression=value.copy())


def _join(joined: exp.Select, file: FeatureFile, stage: str, of: str) -> None:
    """Add the file's features to the leads; a lead without the key has none."""
    on = exp.and_(
        exp.column(_KEY, table=file.name).eq(exp.column(of, table=stage)),
        exp.column(AS_OF, table=file.name).eq(exp.column(AS_OF, table=stage)),
    )
    joined.select(*(exp.alias_(exp.column(n, table=file.name), n) for n in file.outputs), copy=False)
    joined.join(file.name, on=on, join_type="left", copy=False)


def _levels(ordered: Sequence[FeatureFile], spine: Spine) -> list[list[FeatureFile]]:
    """Return the files in as few steps as their needs allow: the leads are carried along once a step."""
    level_of: dict[str, int] = {}
    levels: list[list[FeatureFile]] = []
    for file in ordered:
        level = max((level_of[need] + 1 for need in _needs(file, spine)), default=0)
        levels[level:] = levels[level:] or [[]]
        levels[level].append(file)
        level_of |= dict.fromkeys(file.outputs, level)
    return levels


def _ordered(files: Sequence[FeatureFile], spine: Spine) -> list[FeatureFile]:
    """Return the files so that each stands after those whose features it needs; ties in order of name."""
    provided, waiting, ordered = set[str](), sorted(files, key=lambda f: f.name), list[FeatureFile]()
    _refuse_twice(waiting)
    while waiting:
        ready = next((f for f in waiting if _needs(f, spine) <= provided), None)
        if ready is None:
            file = waiting[0]
            missing = sorted(_needs(file, spine) - provided)
            raise FeatureError(
                file.path,
                found=f"`{missing[0]}`, which no other feature provides",
                wanted="a feature of another file, without a circle",
                then="Correct the name, or `of` in [features]; a lead's own column is read with FROM its source.",
            )
        waiting.remove(ready)
        ordered.append(ready)
        provided |= set(ready.outputs)
    return ordered


def _needs(file: FeatureFile, spine: Spine) -> set[str]:
    if file.source is None:
        return file.columns()
    return {file.of} - set(spine.columns) if file.of else set()


def _refuse_twice(files: Sequence[FeatureFile]) -> None:
    seen: dict[str, str] = {}
    for file in files:
        for name in file.outputs:
            if name in seen or name in {SUBJECT, AS_OF}:
                raise FeatureError(
                    file.path,
                    found=f"the feature `{name}`, which {seen.get(name, 'the lead itself')} already has",
                    wanted="one name per feature",
                    then="Rename one of them.",
                )
            seen[name] = file.path


def _key_types(files: Sequence[FeatureFile], columns: Mapping[str, Mapping[str, str]], spine: Spine) -> dict[str, str]:
    """Return engine types of everything a file may be keyed by; a feature that picks a column has that column's."""
    types = dict(spine.columns)
    for file in files:
        for name, tree in file.outputs.items():
            picked = tree.this if isinstance(tree, exp.ArgMax | exp.ArgMin | exp.Max | exp.Min) else tree
            found = columns.get(file.source or "", {}).get(picked.name) if isinstance(picked, exp.Column) else None
            if name not in spine.columns:
                types[name] = found or ""
    return types


def _same_type(
    file: FeatureFile, of: str, source: Source, columns: Mapping[str, str], types: Mapping[str, str]
) -> None:
    """Raise FeatureError when the key of the leads and the key of the source are missing or of different type."""
    theirs = columns.get(source.key)
    if theirs is None or of not in types:
        raise FeatureError(
            f"foregate.toml [sources.{file.source}] key" if theirs is None else file.path,
            found=f"no column `{source.key if theirs is None else of}`",
            wanted=f"one of {', '.join(columns if theirs is None else types)}",
            then="Correct the key.",
        )
    if types[of] and kind(types[of]) != kind(theirs):
        raise FeatureError(
            file.path,
            found=f"`{of}` of the leads is {types[of]}, `{source.key}` of `{file.source}` is {theirs}",
            wanted="join keys of one type",
            then="Cast one of them in a query source; joined as they are, the wrong rows would match.",
        )


def kind(engine_type: str) -> str:
    """Return the family a key's type belongs to: whole numbers of any width compare, text does not compare with them.

    >>> kind("BIGINT") == kind("INTEGER"), kind("VARCHAR") == kind("BIGINT")
    (True, False)
    """
    whole = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
    upper = engine_type.upper()
    return "WHOLE" if upper in whole else upper.split("(")[0]
