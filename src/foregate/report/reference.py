"""The reference pages, made from the code they describe: gates, settings, commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from foregate.core.alerting import Rule
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


ALERTS_HEAD = """# The monitor and its alerts

`foregate monitor` is run once a day (cron, a systemd timer, or `--every 1d`). It finishes what a crash left open,
holds a rollout whose waiver or signature has run out, measures the version in service on what has matured, and
keeps all of it in the ledger. The same day over the same data writes nothing twice.

**What the field is held against.** The people a list chose convert at some rate once their outcomes have had the
time to come. A conversion that has not come yet is no failure: rates are conversions over the sum of the shares
that should have shown by each lead's age (Kaplan-Meier on history), with exact intervals. The promise is the list's
own scores, corrected by the calibration that the test rows showed.

**A rule** compares one piece of evidence with a threshold. With `by = "bound"`, the default, the whole interval
must lie beyond it; with `by = "value"` the point alone, which is how such rules are usually written, and why they
cry wolf. `for_days` asks for so many days of reading in a row; `clear_above` and `clear_below` keep a number that
flaps around its threshold from alerting twice; a missing reading is neither fine nor a breach, and becomes *no
data* after `no_data_days`. `group` and `inhibits` mute what follows from something worse. `foregate alerts silence`
mutes a rule for the version in service until a day; its state goes on.

**Modes.** `observe` writes alerts to the ledger, `advise` tells the sinks too, `act` may also roll back: only a
critical rule with `action = "rollback"` that is neither silenced nor inhibited, only the version it is about, once
for each rollout, only to the last good version.

**Before you arm a rule**: `foregate alerts replay` shows what today's rules would have told over past looks (or,
with `--from`, measured anew from the data as known then); `foregate alerts budget` simulates years of a model that
keeps its promise, at this project's volume, and counts the alerts: all of them false.

**Sinks** (`[[alerts.sink]]`: a command, http, or a file) are told at least once, in order, each payload with an
`id`. A sink that is down keeps its alerts in the outbox; neither the state nor another sink waits for it.
"""
_RULE_SETS = {
    "shipped": "In force unless `[alerts] rules` says otherwise.",
    "seeds": "The rules that a team had written by hand, by the point and without maturity. Put them through "
    "`foregate alerts budget` before you believe them.",
    "funnel": "In force for `[funnel]` unless `[funnel.alerts] rules` says otherwise. `surprise` counts standard "
    "deviations of the issued paths: a week of a stage, or of one of its channels.",
    "prices": "In force for `[prices]` unless `[prices.alerts] rules` says otherwise. `surprise` counts standard "
    "deviations of the return over the horizon.",
    "prices, seeds": 'With `[prices.alerts] rules = "seeds"`: percentage errors of a day and a week, by the point. '
    "`foregate alerts budget prices` counts their false alarms beside those of the shipped ones.",
}


_HEADS = {
    "funnel": "## The funnel's rules",
    "prices": "## The rules of prices",
    "prices, seeds": "## The seed's rules of prices",
}


def alerts_page(rules: Mapping[str, Sequence[Rule]]) -> str:
    """Return the page of the monitor and of every rule that comes with the program, set by set."""
    lines = [ALERTS_HEAD]
    for name, about in _RULE_SETS.items():
        head = _HEADS.get(name, f'## `rules = "{name}"`')
        lines += [head, "", about, "", "| rule | severity | alerts when | then | why |"]
        lines += ["|---|---|---|---|---|"]
        lines += [
            f"| `{r.name}` | {r.severity} | {r.wanted()} | {r.action or 'tells'} | {r.why} |" for r in rules[name]
        ]
        lines.append("")
    return "\n".join(lines)


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
