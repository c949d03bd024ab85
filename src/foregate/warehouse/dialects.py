"""Dialects: what an engine lacks, said with what it has."""

from __future__ import annotations

from sqlglot import exp


def written(tree: exp.Expr, dialect: str) -> str:
    """Return a compiled statement in an engine's dialect."""
    if dialect == "postgres":
        tree = tree.copy().transform(_ordered_array)
    return tree.sql(dialect=dialect, pretty=True)


def _ordered_array(node: exp.Expr) -> exp.Expr:
    """Return arg_max and arg_min, which Postgres lacks, as the first of an ordered array; ties as everywhere."""
    if not isinstance(node, exp.ArgMax | exp.ArgMin):
        return node
    desc = isinstance(node, exp.ArgMax)
    branch = node.expression.args["ifs"][0]
    order = branch.args["true"].expressions[0].expression
    ranked = [exp.Ordered(this=key.copy(), desc=desc, nulls_first=False) for key in (order, node.this)]
    array = exp.ArrayAgg(this=exp.Order(this=node.this.copy(), expressions=ranked))
    kept = exp.Filter(this=array, expression=exp.Where(this=branch.this.copy()))
    return exp.Bracket(this=exp.Paren(this=kept), expressions=[exp.Literal.number(0)])
