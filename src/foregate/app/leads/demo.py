"""The demo: a world with a known truth, a model taken through its gates to a list, and an explanation."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from rich.console import Console
from rich.rule import Rule

from foregate.app.leads.case import Leads
from foregate.app.leads.lists import build_list, explain_lead
from foregate.app.played import teller
from foregate.app.promotion import promote
from foregate.app.starting import SCALES, empty, lay_demo
from foregate.cases.leads.world import Trap
from foregate.core.errors import ConfigurationError
from foregate.core.folds import PROMOTABLE
from foregate.report.log import execution_log
from foregate.report.terminal import expected_table, explanation, summary, waterfall_table

AS_OF = date(2025, 10, 31)


def play(folder: Path, scale: str, trap: str | None, seed: int, *, signal: bool, console: Console) -> int:
    """Return the exit code after the demo was laid, run, judged and, if it passed, promoted and listed."""
    traps = {t.value: t for t in Trap}
    if scale not in SCALES or (trap is not None and trap not in traps):
        wrong, known = ("--scale " + scale, SCALES) if scale not in SCALES else (f"--trap {trap}", traps)
        raise ConfigurationError(wrong, found="no such choice", wanted=f"one of {', '.join(known)}", then="Correct it.")
    empty(folder)
    console.print(Rule("a world of advisers, and what a team declares about it"))
    rows = lay_demo(folder, SCALES[scale], seed, AS_OF, traps.get(trap or ""), signal=signal)
    console.print(f"{folder}/data: " + ", ".join(f"{name} {count:,}" for name, count in rows.items()))
    app = Leads(folder)
    console.print(Rule(f"foregate run leads --as-of {AS_OF}"))
    state = app.run(AS_OF, teller(console))
    console.print(summary(state))
    _write_log(app)
    if state.state not in PROMOTABLE:
        console.print("The gates did not let it through; nothing is in service.")
        return 1
    console.print(Rule("foregate promote"))
    promote(app, state.version, "the demo's first release")
    console.print(f"{state.version} is in service, read back through bi.lead_scores")
    _list(app, console)
    _write_log(app)
    console.print(
        f"\nEverything is in {folder}/: try  foregate -C {folder} show --all  or read {folder}/EXECUTION_LOG.md"
    )
    return 0


def _list(app: Leads, console: Console) -> None:
    console.print(Rule("foregate list build"))
    report = build_list(app, AS_OF)
    console.print(waterfall_table(report.built.waterfall.to_pylist()))
    console.print()
    console.print(expected_table(report.built.expected.to_pylist()))
    console.print(
        f"\n{report.built.people.num_rows:,} leads, digest {report.digest}: {', '.join(map(str, report.files))}"
    )
    console.print(Rule("foregate list explain"))
    console.print(explanation(explain_lead(app, str(report.built.people.column("person_id")[0].as_py()))))
    kept_out = next(
        d for d in report.built.decisions.to_pylist() if d["decision"] == "firm_cap" or d["decision"] == "disagreement"
    )
    console.print(explanation(explain_lead(app, str(kept_out["person_id"]))))


def _write_log(app: Leads) -> None:
    text = execution_log(app.entries(), "leads", app.clock().date())
    app.project.path("EXECUTION_LOG.md").write_text(text, encoding="utf-8")
