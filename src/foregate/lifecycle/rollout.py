"""Rollouts: a version's way to full traffic, a step at a time, each asked for and judged before it is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

from foregate.core.errors import NotAllowedError
from foregate.core.event import Entry, Event, Kind
from foregate.core.evidence import Evidence
from foregate.core.folds import PROMOTABLE, State, phase_state, served
from foregate.core.gate import Judgement, Result, judge, subject_words
from foregate.core.rollout import BACKWARD, Rollout, Stage, active, generation, pointer, rollouts
from foregate.lifecycle.crossings import READY, Crossing, crossing
from foregate.lifecycle.history import history
from foregate.lifecycle.moving import Outcome, cite
from foregate.lifecycle.standing import Standing

TRAFFIC = (Stage.CANARY, Stage.PROMOTING)


@dataclass(frozen=True, slots=True)
class Preview:
    """What the next step would do and how it would be judged today; nothing of it is written."""

    rollout: Rollout | None
    version: str
    champion: str | None
    crossing: Crossing
    judgements: tuple[Judgement, ...]
    waits: str
    state: State


@dataclass
class Rollouts(Standing):
    """The forward half: start, step, hold, resume, reject, retire."""

    def promote(self, version: str | None = None, reason: str = "", key: str = "") -> Outcome:
        """Return the outcome of one step: a rollout is started, or the open one taken to its next stage if it may.

        Not yet its time is an outcome that moved nothing; a gate, a missing signature or another rollout in the way
        raises NotAllowedError. A version in service already is left as it is.
        """
        self.reconcile()
        entries = self.entries()
        if done := self._repeated(entries, key):
            return done
        current = active(entries)
        if current is None:
            return self._begin(entries, self._named(version), reason, key)
        self._check_same(current, version)
        if current.stage is Stage.HELD:
            raise self._refused(current.version, f"held: {current.moved.reason if current.moved else ''}", "resume")
        self._check_standing(current, entries)
        if current.stage in (Stage.PLANNED, Stage.AWAITS):
            return self._enter(current, entries, reason, key)
        return self._onward(current, entries, reason, key)

    def preview(self, version: str | None = None) -> Preview:
        """Return what `promote` would do now and how it would be judged, measured afresh and written nowhere."""
        entries = self.entries()
        current = active(entries)
        named = current.version if current else self._named(version)
        if current is not None:
            self._check_same(current, version)
        champion = current.champion if current else self._champion(entries)
        step = crossing(current, self.plan, champion)
        judgements, criterion = self._measure(step, current, named, champion)
        del criterion
        state = phase_state(judgements, self._waivers(named), self.clock().date())
        waits = self._against(step, current, entries, named)
        return Preview(current, named, champion, step, judgements, waits, state)

    def _against(self, step: Crossing, current: Rollout | None, entries: Sequence[Entry], version: str) -> str:
        """Return in words what keeps `promote` from the step beside its gates; empty when nothing does."""
        state = self._state(version).state
        if current is None and dict(served(e.event for e in entries)) == {version: 1.0}:
            return "it is in service already"
        if state not in PROMOTABLE:
            return f"the version is not to be promoted: {state}"
        if current is not None and (moved := self._moved_on(current, entries)):
            return moved
        if current is not None and current.stage is Stage.HELD:
            return "it is held: `foregate resume`"
        short = self._unsigned(entries, version)
        return self._waits(step, current) or (f"{short} of {self.plan.signatures}: `foregate sign`" if short else "")

    def waits(self, current: Rollout) -> str:
        """Return in words what keeps an open rollout from its next step by its plan alone; empty when nothing does."""
        step = crossing(current, self.plan, current.champion)
        return self._waits(step, current) or self._unbaked(current, self.entries(), step)

    def hold(self, reason: str, key: str = "") -> Outcome:
        """Return the outcome of stopping the open rollout where it stands; traffic stays as it is."""
        entries = self.entries()
        current = active(entries)
        if done := self._repeated(entries, key):
            return done
        if current is None or current.stage is Stage.HELD:
            return Outcome(current, moved=False, words="no open rollout" if current is None else "held already")
        self._move(current, Stage.HELD, generation(entries), reason, detail={"key": key})
        return Outcome(self.rollout(current.began), moved=True, words=f"held in {current.stage}")

    def resume(self, reason: str, key: str = "") -> Outcome:
        """Return the outcome of letting a held rollout stand where it stood; its next step is judged anew."""
        entries = self.entries()
        current = active(entries)
        if done := self._repeated(entries, key):
            return done
        if current is None or current.stage is not Stage.HELD or current.held_in is None:
            return Outcome(current, moved=False, words="no held rollout")
        self._check_standing(current, entries, held=True)
        self._move(current, current.held_in, generation(entries), reason, detail={"key": key})
        return Outcome(self.rollout(current.began), moved=True, words=f"resumed in {current.held_in}")

    def reject(self, reason: str, key: str = "") -> Outcome:
        """Return the outcome of ending a rollout that has touched no traffic; one that has is rolled back instead."""
        entries = self.entries()
        current = active(entries)
        if done := self._repeated(entries, key):
            return done
        if current is None:
            return Outcome(None, moved=False, words="no open rollout")
        if current.served_at is not None:
            raise self._refused(current.version, f"one that is in traffic ({current.stage})", "rollback")
        self._move(current, Stage.REJECTED, generation(entries), reason, detail={"key": key})
        return Outcome(self.rollout(current.began), moved=True, words=f"{current.version} rejected")

    def lapse(self) -> Outcome | None:
        """Return the outcome of holding a rollout whose waiver, signature or plan no longer stands; None if all do."""
        entries = self.entries()
        current = active(entries)
        if current is None or current.stage in BACKWARD or current.stage in (Stage.HELD, Stage.PLANNED, Stage.AWAITS):
            return None
        # Another plan stops the next step by itself; held, the rollout would stay so after the file was put back.
        fault = "" if self._moved_on(current, entries) else self._fault(current, entries)
        return self.hold(fault) if fault else None

    def _begin(self, entries: Sequence[Entry], version: str, reason: str, key: str) -> Outcome:
        at = pointer(entries)
        if at is not None and dict(at.event.split or {}) == {version: 1.0}:
            words = f"{version} is in service since {at.event.at:%Y-%m-%d %H:%M} UTC"
            return Outcome(next((r for r in reversed(rollouts(entries)) if r.version == version), None), False, words)
        self._check_promotable(version)
        champion = self._champion(entries)
        step = crossing(None, self.plan, champion)
        judgements, criterion = self._measure(step, None, version, champion)
        judged = self._record(READY, judgements, version)
        self._check_judged(version, judgements, only_blocking=True)
        plan = {"plan": asdict(self.plan), "plan_digest": self.plan.digest}
        detail = {"stage": str(Stage.PLANNED), **plan, "champion": champion, "criterion": criterion, "share": 0.0}
        event = Event(
            Kind.MOVED,
            self.clock(),
            self.model,
            version,
            self.actor,
            reason=reason,
            detail={**detail, "cites": [cite(judged)], "key": key},
        )
        planned = self.ledger.add(event, generation(entries))
        self.boundary("planned")
        return self._enter(self.rollout(planned.sequence), self._upto(planned), reason, "", (judged, judgements))

    def _enter(
        self,
        current: Rollout,
        entries: Sequence[Entry],
        reason: str,
        key: str,
        ready: tuple[Entry, tuple[Judgement, ...]] | None = None,
    ) -> Outcome:
        """Return the outcome of the first stage, once the readiness gates are met and the names are there."""
        if ready is None:
            step = crossing(current, self.plan, current.champion)
            judgements, _ = self._measure(step, current, current.version, current.champion)
            ready = (self._record(READY, judgements, current.version), judgements)
        unsigned = self._unsigned(entries, current.version)
        state = phase_state(ready[1], self._waivers(current.version), self.clock().date())
        if (unsigned or state not in PROMOTABLE) and current.stage is Stage.PLANNED:
            self._move(current, Stage.AWAITS, generation(entries), detail={"cites": [cite(ready[0])]})
        self._check_judged(current.version, ready[1])
        if unsigned:
            raise NotAllowedError(
                f"version {current.version}",
                found=unsigned,
                wanted=f"{self.plan.signatures} signatures of different people on this version and plan",
                then=f"`foregate sign {current.version} --by NAME --reason WHY --until DATE`",
            )
        step = crossing(current, self.plan, current.champion)
        return self._take(current, step, [ready[0]], reason, key, generation(entries))

    def _onward(self, current: Rollout, entries: Sequence[Entry], reason: str, key: str) -> Outcome:
        step = crossing(current, self.plan, current.champion)
        if waits := self._waits(step, current) or self._unbaked(current, entries, step):
            return Outcome(current, moved=False, words=waits)
        asked = self.gates_of(self.plan, current.criterion)
        cited = []
        for phase in step.phases:
            evidence = self._evidence(phase, current)
            judgements = judge(asked[phase], evidence)
            cited.append(self._record(phase, judgements, current.version, evidence))
            self._check_judged(current.version, judgements)
        return self._take(current, step, cited, reason, key, generation(entries))

    def _take(
        self, current: Rollout, step: Crossing, cited: Sequence[Entry], reason: str, key: str, seen: int
    ) -> Outcome:
        """Return the outcome of a step that nothing speaks against; `seen` is the move its evidence was measured on."""
        detail = {"share": step.share, "cites": [cite(e) for e in cited], "key": key}
        if step.stage not in TRAFFIC:
            self._move(current, step.stage, seen, reason, detail=detail)
            return Outcome(self.rollout(current.began), True, f"{current.version}: {step.stage}")
        split = {current.version: 1.0}
        if step.share < 1 and current.champion:
            split = {current.champion: 1 - step.share, current.version: step.share}
        served = self._serve(current, step.stage, split, seen, reason, detail=detail)
        self._settle(served, self._see(served, current))
        now = self.rollout(current.began)
        return Outcome(now, True, f"{current.version}: {now.stage}, {now.share:.0%} of people")

    def _settle(self, served: Entry, judged: Entry) -> None:
        """Go on from full traffic that readers were seen to have: the release bakes, or is complete at once."""
        current = self.rollout(int(served.event.detail.get("rollout", 0)))
        detail = {"cites": [cite(judged)]}
        if current.stage is Stage.PROMOTING:
            baking = self._move(current, Stage.BAKING, current.moves[-1].sequence, detail=detail)
            if not self.plan.bake_days and not self.plan.bake_signatures:
                self._move(self.rollout(current.began), Stage.COMPLETED, baking.sequence, detail=detail)

    def _upto(self, last: Entry) -> Sequence[Entry]:
        """Return the entries up to one: what came after it was not seen by whoever wrote it."""
        return [e for e in self.entries() if e.sequence <= last.sequence]

    def _measure(
        self, step: Crossing, current: Rollout | None, version: str, champion: str | None
    ) -> tuple[tuple[Judgement, ...], str]:
        """Return how a step's phases judge today, and the criterion the plan's window can decide."""
        if step.phases == (READY,):
            ready = self.service.ready(current, version, champion, self.plan)
            past = history(self.entries(), self._state(version), self.plan, self.clock())
            evidence = (*ready.evidence, *past)
            return judge(self.gates_of(self.plan, "")[READY], evidence), ready.criterion
        assert current is not None, "only the first step starts without a rollout"
        asked = self.gates_of(self.plan, current.criterion)
        found = [j for phase in step.phases for j in judge(asked[phase], self._evidence(phase, current))]
        return tuple(found), current.criterion

    def _evidence(self, phase: str, current: Rollout) -> Sequence[Evidence]:
        if phase == "parity":
            return self.service.parity(current)
        if phase == "bake":
            return self.service.bake(current)
        return self.service.field(current)

    def _record(
        self, phase: str, judgements: Sequence[Judgement], version: str, evidence: Sequence[Evidence] = ()
    ) -> Entry:
        """Return the entry of a judgement that was made; what was measured beside the gates is kept with it."""
        found = tuple(evidence) or tuple(j.evidence for j in judgements if j.evidence)
        detail = {"plan": self.plan.digest}
        at = self.clock()
        return self.ledger.add(
            Event(
                Kind.JUDGED,
                at,
                self.model,
                version,
                self.actor,
                phase,
                evidence=found,
                judgements=tuple(judgements),
                detail=detail,
            )
        )

    def _check_judged(self, version: str, judgements: Sequence[Judgement], *, only_blocking: bool = False) -> None:
        """Raise NotAllowedError naming the gates in the way, those that a named person may accept apart."""
        state = phase_state(judgements, self._waivers(version), self.clock().date())
        if state in PROMOTABLE or (only_blocking and state is State.AWAITS):
            return
        effect = "block" if state is State.BLOCKED else "sign_off"
        stopping = [j for j in judgements if j.result is not Result.PASS and j.gate.effect == effect]
        found = "; ".join(_said(j) for j in stopping)
        waive = " or ".join(
            f'`foregate waive {version} "{j.label}" --by NAME --reason WHY --until DATE`' for j in stopping
        )
        accept = f"Wait, or {waive}. {subject_words(j.label for j in stopping)}".rstrip()
        raise NotAllowedError(
            f"rollout of {version}",
            found=found,
            wanted="; ".join(f"{j.label} {j.gate.wanted()}" for j in stopping),
            then="A blocking gate can not be waived: mend the cause." if effect == "block" else accept,
        )

    def _waits(self, step: Crossing, current: Rollout | None) -> str:
        now = self.clock()
        if step.opens_at is None or now >= step.opens_at or current is None:
            return ""
        days = (step.opens_at - now) / timedelta(days=1)
        return f"{current.stage} until {step.opens_at:%Y-%m-%d %H:%M} UTC, {days:.1f} days more by its plan"

    def _check_standing(self, current: Rollout, entries: Sequence[Entry], *, held: bool = False) -> None:
        """Hold a rollout, and raise, when what it stands on no longer holds: a waiver, its names, or its plan."""
        out = "rollback" if current.served_at else "reject"
        if moved := self._moved_on(current, entries):
            raise NotAllowedError(
                f"rollout of {current.version}",
                found=moved,
                wanted="what it was started on",
                then=f"Put it back, or `foregate {out} --reason WHY` and start again.",
            )
        early = current.stage in (Stage.PLANNED, Stage.AWAITS)
        fault = "" if early else self._fault(current, entries)
        if not fault:
            return
        if not held:
            self._move(current, Stage.HELD, generation(entries), fault)
        raise self._refused(current.version, fault, "resume")


def _said(judgement: Judgement) -> str:
    words = judgement.evidence.words if judgement.evidence else judgement.words
    value = f"{judgement.evidence.value:g}" if judgement.evidence else "nothing"
    return f"{judgement.label} {judgement.result} at {value}{f' ({words})' if words else ''}"
