"""Promotion: sign, waive, move the pointer; the ledger hears first, the warehouse follows, a probe looks through it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from foregate.app.opened import App, schema_of
from foregate.cases.leads.lifecycle import MODEL
from foregate.cases.leads.work import SCORES
from foregate.core.errors import NotAllowedError
from foregate.core.event import Event, Kind
from foregate.core.evidence import Evidence
from foregate.core.folds import PROMOTABLE, VersionState, served
from foregate.core.gate import Effect, Gate, Judgement, Result, judge
from foregate.lifecycle.store import holder_name
from foregate.report.log import next_step
from foregate.warehouse.duckdb import DuckDB

VIEW = "bi.lead_scores"
SHORTEST_REASON = 8
PROBE = Gate("probe_rows_off", at_most=0, why="readers must see the version that the ledger says is in service")


def waive(app: App, version: str, gate: str, by: str, reason: str, until: date) -> VersionState:
    """Return the version's state after a named person accepted one gate that asks for sign-off.

    A gate's bare name accepts every subject of it that asks, each written as its own acceptance.

    Raises NotAllowedError for a gate that passed, blocks, was not judged, or an expiry that has passed.
    """
    state = app.find(version)
    found: dict[str, Judgement] = {}
    for judgement in state.judgements():
        found.setdefault(judgement.label, judgement)
        if judgement.result is not Result.PASS:
            found[judgement.gate.evidence] = judgement
    chosen = found.get(gate)
    asking = sorted(n for n, j in found.items() if j.result is not Result.PASS and j.gate.effect is Effect.SIGN_OFF)
    if chosen is None or chosen.result is Result.PASS or chosen.gate.effect is not Effect.SIGN_OFF:
        what = "no such gate" if chosen is None else f"a gate that {_stands(chosen.result, chosen.gate.effect)}"
        raise NotAllowedError(
            f"{state.version} {gate}",
            found=what,
            wanted=f"one of {', '.join(asking)}" if asking else "nothing: no gate asks for sign-off",
            then="A blocking gate can not be waived.",
        )
    _check_words(app, by, reason, until)
    for label in (
        [gate] if gate == chosen.label else [n for n in asking if found[n].gate.evidence == gate and n != gate]
    ):
        detail = {"gate": label, "found": _value(found[label])}
        event = Event(Kind.WAIVED, app.clock(), MODEL, state.version, by, reason=reason, until=until, detail=detail)
        app.ledger.add(event)
    return app.find(state.version)


def sign(app: App, version: str, by: str, reason: str, until: date) -> VersionState:
    """Return the version's state after a named person has signed it as it is."""
    state = app.find(version)
    _check_words(app, by, reason, until)
    app.ledger.add(Event(Kind.SIGNED, app.clock(), MODEL, state.version, by, reason=reason, until=until))
    return app.find(state.version)


def promote(app: App, version: str | None, reason: str = "") -> VersionState:
    """Return the version's state after it was put in service; one that is in service already is left as it is.

    Raises NotAllowedError when a gate, a waiver or a signature is missing. When the probe does not read the version
    through the readers' view, what was in service before is put back and NotAllowedError is raised.
    """
    state = app.find(version)
    events = [entry.event for entry in app.entries()]
    before = served(events)
    if before == {state.version: 1.0} and _is_read(app, state.version):
        return state
    _check_promotable(app, state)
    app.package(state.version)
    with app.ledger.lease(MODEL, holder_name(app.actor)):
        app.ledger.add(Event(Kind.STARTED, app.clock(), MODEL, state.version, app.actor, "promote"))
        try:
            evidence = _move(app, state.version, reason)
        except BaseException as error:
            _put_back(app, state.version, before, f"{type(error).__name__}: {error}")
            raise
        judgements = judge([PROBE], [evidence])
        app.ledger.add(
            Event(
                Kind.JUDGED,
                app.clock(),
                MODEL,
                state.version,
                app.actor,
                "promote",
                evidence=(evidence,),
                judgements=judgements,
            )
        )
        if judgements[0].result is not Result.PASS:
            _put_back(app, state.version, before, evidence.words)
            raise NotAllowedError(
                f"{VIEW} after promoting {state.version}",
                found=evidence.words,
                wanted="the staged scores, read through the readers' view",
                then="What was in service before was put back; look at the view.",
            )
    return app.find(state.version)


def _move(app: App, version: str, reason: str) -> Evidence:
    """Return what a reader sees after the pointer has moved."""
    table = f"{schema_of(version)}.{SCORES}"
    with app.warehouse() as engine:
        # What can be found wrong is found before the ledger hears of it.
        staged = engine.count(table)
        app.ledger.add(Event(Kind.SERVED, app.clock(), MODEL, version, app.actor, split={version: 1.0}, reason=reason))
        engine.publish(VIEW, table, version)
        read, versions = _seen(engine)
        fingerprint = engine.fingerprint(VIEW)
        off = abs(read - staged) + (0 if versions == [version] else 1)
    words = f"{read:,} rows of version {', '.join(versions)} read through {VIEW}; {staged:,} were staged"
    return Evidence(PROBE.evidence, off, read, app.clock().date(), fingerprint, words=words)


def _seen(engine: DuckDB) -> tuple[int, list[str]]:
    """Return how many rows and which versions a reader sees."""
    found = engine.rows(f"select count(*), list(distinct version) from {VIEW}")[0]  # noqa: S608 - our own name
    return int(found[0]), list(found[1] or [])


def _is_read(app: App, version: str) -> bool:
    """Return whether readers see the version the ledger serves; a promotion cut short between the two is done again."""
    with app.warehouse() as engine:
        return engine.exists(VIEW) and _seen(engine)[1] == [version]


def _put_back(app: App, version: str, before: Mapping[str, float], why: str) -> None:
    """Serve again what was served before: a `served` event that repeats the older split, then the pointer.

    Before the first release there is nothing to repeat: a `served` event without a split withdraws this one.
    """
    app.ledger.add(Event(Kind.FAILED, app.clock(), MODEL, version, app.actor, "promote", reason=why))
    if before and version not in before:
        older = max(before, key=lambda v: before[v])
        reason = f"{version} could not be read: back to {older}"
        app.ledger.add(Event(Kind.SERVED, app.clock(), MODEL, older, app.actor, split=dict(before), reason=reason))
        with app.warehouse() as engine:
            engine.publish(VIEW, f"{schema_of(older)}.{SCORES}", older)
    elif not before and served(e.event for e in app.entries()):
        reason = f"{version} could not be read, and nothing was in service before it"
        app.ledger.add(Event(Kind.SERVED, app.clock(), MODEL, version, app.actor, reason=reason))


def _check_promotable(app: App, state: VersionState) -> None:
    if state.state not in PROMOTABLE:
        raise NotAllowedError(
            f"version {state.version}",
            found=f"a version that {_is(state.state.value)}",
            wanted="every gate passed or accepted",
            then=next_step(state).replace("\n", "  "),
        )
    today = app.clock().date()
    signed = {" ".join(s.by.split()).casefold() for s in state.signatures if s.until >= today}
    if len(signed) < app.settings.signatures:
        raise NotAllowedError(
            f"version {state.version}",
            found=f"{len(signed)} signatures in force",
            wanted=f"{app.settings.signatures} of different people",
            then=f"`foregate sign {state.version} --by NAME --reason WHY --until DATE`",
        )


def _value(judgement: Judgement) -> float | None:
    return judgement.evidence.value if judgement.evidence else None


def _check_words(app: App, by: str, reason: str, until: date) -> None:
    today = app.clock().date()
    faults = {
        "--by": (not by.strip(), repr(by), "the name of a person"),
        "--reason": (len(reason.strip()) < SHORTEST_REASON, repr(reason), f"at least {SHORTEST_REASON} characters"),
        "--until": (until < today, str(until), f"a day from {today} on"),
    }
    for option, (wrong, found, wanted) in faults.items():
        if wrong:
            raise NotAllowedError(option, found=found, wanted=wanted, then="Correct it: the ledger keeps all three.")


def _stands(result: Result, effect: Effect) -> str:
    return "passed" if result is Result.PASS else f"{'blocks' if effect is Effect.BLOCK else 'only informs'}"


def _is(state: str) -> str:
    return state if state.startswith(("awaits", "broke")) else f"is {state}"
