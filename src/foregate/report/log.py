"""The execution log: every phase and attempt of every version, rendered from the ledger and typed by nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from foregate.core.event import Entry, Event, Kind
from foregate.core.evidence import Evidence, Unit
from foregate.core.folds import PROMOTABLE, State, VersionState, phase_state, served, versions
from foregate.core.gate import Judgement, Result, subject_words
from foregate.report.words import bound, number

MARKS = {
    Result.PASS: "PASS",
    Result.FAIL: "FAIL",
    Result.INSUFFICIENT: "CANNOT TELL",
    Result.ERROR: "ERROR",
    Result.NOT_RUN: "NOT RUN",
}


def execution_log(entries: Sequence[Entry], model: str, on: date) -> str:
    """Return EXECUTION_LOG.md: a summary, then each phase of each run, newest first."""
    events = [entry.event for entry in entries]
    states = versions(events, on)
    split = served(events)
    lines = [f"# Execution log: {model}", "", "Rendered from the ledger; every number is a recorded measurement.", ""]
    lines += [f"**In service:** {', '.join(f'{v} ({s:.0%})' for v, s in split.items()) or 'nothing yet'}", ""]
    lines += ["| event | when (UTC) | what |", "|---|---|---|"]
    lines += [
        f"| {e.sequence} | {e.event.at:%Y-%m-%d %H:%M:%S} | {_cell(e.event.sentence())} |"
        for e in reversed(entries)
        if not _noise(e.event)
    ]
    for version in reversed(list(states)):
        own = [e for e in entries if e.event.version == version]
        lines += ["", *_version(states[version], own, on, "It is in service." if version in split else "")]
    return "\n".join(lines) + "\n"


def _noise(event: Event) -> bool:
    return event.kind is Kind.STARTED and bool(event.phase)


def _version(state: VersionState, entries: Sequence[Entry], on: date, standing: str) -> list[str]:
    lines = [f"## Version {state.version}", "", f"**State:** {state.state}", ""]
    attempts: dict[str, int] = {}
    started: dict[str, Event] = {}
    for entry in entries:
        event = entry.event
        if event.kind is Kind.STARTED and event.phase:
            attempts[event.phase] = attempts.get(event.phase, 0) + 1
            started[event.phase] = event
        elif event.kind in {Kind.JUDGED, Kind.FAILED} and event.phase:
            lines += _phase(entry, started.get(event.phase), attempts.get(event.phase, 1), state, on)
    lines += [
        f"### {heading}\n\n{body}\n"
        for heading, body in (("Decisions", _decisions(entries)), ("Next", standing or next_step(state)))
    ]
    return lines


def _phase(entry: Entry, started: Event | None, attempt: int, state: VersionState, on: date) -> list[str]:
    event = entry.event
    verdict = State.BROKE if event.kind is Kind.FAILED else phase_state(event.judgements, state.waivers, on)
    seconds = (event.at - started.at).total_seconds() if started else 0.0
    lines = [
        f"### Phase {event.phase}, attempt {attempt}",
        "",
        f"**Executed:** {event.at:%Y-%m-%d %H:%M:%S} UTC · **Duration:** {seconds:.1f} s "
        f"· **State:** {verdict} · event {entry.sequence}",
        "",
    ]
    lines += [f"It broke off: {_cell(event.reason)}", ""] if event.reason else []
    lines += _gates(event.judgements)
    lines += _metrics([e for e in event.evidence if not any(j.evidence == e for j in event.judgements)])
    learned = _learned(event.judgements)
    return lines + (["**Learned**", "", *(f"- {line}" for line in learned), ""] if learned else [])


def _gates(judgements: Iterable[Judgement]) -> list[str]:
    rows = [
        f"| {_cell(j.label)} | {MARKS[j.result]} | {_found(j)} | {wanted(j)} | {j.gate.effect} | {_cell(_words(j))} |"
        for j in judgements
    ]
    head = ["| gate | result | found | wanted | else | note |", "|---|---|---|---|---|---|"]
    return [*head, *rows, ""] if rows else []


def _metrics(evidence: Sequence[Evidence]) -> list[str]:
    rows = [f"| {_cell(e.label)} | {number(e)} | {e.rows:,} | {_cell(e.words)} |" for e in evidence]
    return ["| metric | value | rows | note |", "|---|---|---|---|", *rows, ""] if rows else []


def wanted(judgement: Judgement) -> str:
    """Return a gate's threshold in the unit of what it judged."""
    gate, unit = judgement.gate, judgement.evidence.unit if judgement.evidence else Unit.COUNT
    parts = [f"at least {bound(gate.at_least, unit)}"] if gate.at_least is not None else []
    parts += [f"at most {bound(gate.at_most, unit)}"] if gate.at_most is not None else []
    return " and ".join(parts) + (f" on {gate.min_rows:,} rows" if gate.min_rows else "")


def _found(judgement: Judgement) -> str:
    return number(judgement.evidence) if judgement.evidence else "nothing"


def _words(judgement: Judgement) -> str:
    return judgement.words or (judgement.evidence.words if judgement.evidence else "")


def _learned(judgements: Iterable[Judgement]) -> list[str]:
    """Return sentences that say no more than a gate's result supports."""
    said = {
        Result.FAIL: "is outside its gate",
        Result.INSUFFICIENT: "can not be told from its threshold by these rows",
        Result.ERROR: "could not be measured",
        Result.NOT_RUN: "was not measured",
    }
    return [
        f"`{j.label}` {said[j.result]} ({_found(j)}; wanted {wanted(j)}): {j.gate.why}"
        for j in judgements
        if j.result is not Result.PASS
    ]


def _decisions(entries: Sequence[Entry]) -> str:
    kinds = {Kind.WAIVED, Kind.SIGNED, Kind.SERVED, Kind.MOVED, Kind.ALERTED, Kind.RESOLVED, Kind.SILENCED}
    made = [f"- event {e.sequence}: {e.event.sentence()}" for e in entries if e.event.kind in kinds]
    return "\n".join(made) or "None was made."


def next_step(state: VersionState) -> str:
    """Return what to type next for a version in this state."""
    if state.state in PROMOTABLE:
        return f"`foregate promote {state.version}`"
    open_gates = sorted(
        {j.label for p in state.phases.values() if p.judged for j in p.judged.judgements if _asks(j, p.state)}
    )
    if state.state is State.AWAITS:
        waivers = [f'`foregate waive {state.version} "{g}" --by NAME --reason WHY --until DATE`' for g in open_gates]
        hint = subject_words(open_gates)
        head = "Mend what the gates name and run again, or have a named person accept each:"
        return "\n".join([head, *waivers, *([hint] if hint else [])])
    if state.state is State.BLOCKED:
        return "A blocking gate can not be waived: mend the cause and run again; it will be another version."
    return "`foregate run`"


def _asks(judgement: Judgement, state: State) -> bool:
    return state is State.AWAITS and judgement.result is not Result.PASS and judgement.gate.effect == "sign_off"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
