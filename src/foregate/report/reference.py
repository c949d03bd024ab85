"""The reference pages, made from the code they describe: gates, settings, commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from foregate.core.gate import Gate

GATES_HEAD = """# How a gate decides

A phase yields **evidence**: one number with its rows, its as-of date, the hash of what produced it, and, if it is an
estimate, its interval. A **gate** is a threshold fixed before the measurement.

| result | when | formula |
|---|---|---|
| pass | the interval clears the threshold | `low >= at_least` and `high <= at_most` |
| fail | the whole interval lies on the wrong side | `high < at_least` or `low > at_most` |
| cannot tell | the interval straddles it, or there are fewer rows than `min_rows` | everything else, NaN included |
| error | the measurement raised | |
| not run | nothing was measured | |

Only *pass* passes. What happens otherwise is the gate's effect: `block` stops the run and can never be waived,
`sign_off` asks a named person (`foregate waive`), `inform` is written down. An exact count (rows, duplicates) is its
own interval.

**Intervals.** Rates: Clopper-Pearson below ten hits, Wilson above. Ratios of rates and lifts: Koopman's score interval.
AUC: DeLong. Differences between two models on the same rows: paired DeLong, or a paired bootstrap of rows. PSI: the
noncentral chi-square that its own sampling gives it, so that a small sample is not called drift. Several tiers judged
together share the error (Bonferroni). The k-th candidate that reads the same test rows is judged at 1 - 0.05/(k(k+1)).

**Verdicts** between two models: *better* (the interval lies above zero), *worse* (below), *not worse* (above minus the
margin), *cannot tell*; with how many leads it would take to tell.

**Moving a gate.** `[leads.gates.NAME]` in foregate.toml takes `at_least`, `at_most`, `min_rows`, `effect`. A version
that was judged is never judged again by other gates. For the next version, whatever lets more through than the gates in
force becomes `gates_loosened`, which a named person must accept.
"""


def gates_page(phases: Mapping[str, tuple[str, Sequence[Gate]]]) -> str:
    """Return the page of all shipped gates, phase by phase."""
    lines = [GATES_HEAD]
    for phase, (does, gates) in phases.items():
        lines += [f"## {phase}", "", does, "", "| gate | wanted | else | why |", "|---|---|---|---|"]
        lines += [f"| `{g.evidence}` | {g.wanted()} | {g.effect.value} | {g.why} |" for g in gates]
        lines.append("")
    return "\n".join(lines)


def settings_page(head: str, tables: Iterable[tuple[str, str, Mapping[str, Any]]]) -> str:
    """Return the page of all keys of the project file: (table, what it is, JSON schema of its model) in order."""
    lines = [head]
    for name, about, schema in tables:
        lines += [f"## `{name}`", "", about.strip(), "", "| key | type | default |", "|---|---|---|"]
        required = set(schema.get("required", ()))
        for key, field in schema.get("properties", {}).items():
            default = "required" if key in required else _default(field)
            lines.append(f"| `{key}` | {_type(field)} | {default} |")
        lines.append("")
    return "\n".join(lines)


def commands_page(head: str, commands: Iterable[tuple[str, str, Sequence[tuple[str, str]]]]) -> str:
    """Return the page of all verbs: (usage, help, [(option, help)])."""
    lines = [head]
    for usage, about, options in commands:
        lines += [f"## `{usage}`", "", about, ""]
        if options:
            lines += ["| option | what it does |", "|---|---|", *(f"| `{o}` | {h} |" for o, h in options), ""]
    return "\n".join(lines)


def _default(field: Mapping[str, Any]) -> str:
    found = field.get("default")
    if found in (None, [], {}):
        return "none"
    return "see below" if isinstance(found, dict) else f"`{str(found).lower() if isinstance(found, bool) else found}`"


def _type(field: Mapping[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(f) for f in field["anyOf"] if f.get("type") != "null"))
    if "$ref" in field:
        return "table"
    if "enum" in field:
        return ", ".join(f"`{v}`" for v in field["enum"])
    kinds = {
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "array": "list",
        "object": "table",
    }
    return str(field.get("format") or kinds.get(field.get("type", ""), "text"))
