"""Moving the pointer: the ledger hears first, readers follow, a probe looks through their view; back without asking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from foregate.core.errors import ConflictError, ForegateError, NotAllowedError
from foregate.core.event import Entry, Event, Kind
from foregate.core.evidence import Evidence
from foregate.core.gate import Gate, Judgement, Result, judge
from foregate.core.ports import Clock, Ledger, Service
from foregate.core.rollout import (
    BACKWARD,
    NEXT,
    Plan,
    Rollout,
    Stage,
    generation,
    good_versions,
    pointer,
    rollouts,
)
from foregate.lifecycle.crossings import PROBE, GatesOf, gates
from foregate.lifecycle.leaving import check_alone, in_service, leaving_rollout, waiting

TRIES = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did: the rollout as it stands now, whether anything moved, and why or why not in words."""

    rollout: Rollout | None
    moved: bool
    words: str


@dataclass
class Mover:
    """Moves one model's pointer by ledger entries; `boundary` is called between any two steps that a crash may part.

    `gates_of` gives the gates of every step of a plan, by phase, for the criterion its window can decide.
    """

    ledger: Ledger
    clock: Clock
    actor: str
    model: str
    plan: Plan
    service: Service
    boundary: Callable[[str], None] = lambda _point: None
    gates_of: GatesOf = gates

    def entries(self) -> Sequence[Entry]:
        """Return the model's events that count today."""
        return self.ledger.current(self.model)

    def rollout(self, began: int) -> Rollout:
        """Return a rollout as it stands now."""
        return next(r for r in rollouts(self.entries()) if r.began == began)

    def rollback(
        self,
        reason: str,
        version: str | None = None,
        *,
        rule: str = "",
        key: str = "",
        withdraw: bool = False,
        unseen: bool = False,
    ) -> Outcome:
        """Return the outcome of serving the last good version again; asks no metric and no gate but its intact bytes.

        `version` is the one to take out of traffic, else what the last rollout brought; taken out already, nothing
        happens. A good version whose package is not intact is passed over for the one before it. Raises NotAllowedError
        when there is nothing to go back to, unless `withdraw` takes the version out and leaves nothing in service.
        `unseen` says that readers never saw the version: it is not quarantined for that.
        """
        for _ in range(TRIES):
            entries = self.entries()
            if unseen_yet := waiting(entries, version):
                return self._seen_or_withdrawn(*unseen_yet, reason, withdraw=withdraw)
            if done := self._repeated(entries, key):
                return done
            leaving = leaving_rollout(entries, version)
            if leaving is None:
                return Outcome(None, moved=False, words=in_service(entries))
            check_alone(entries, leaving)
            target, evidence = self._last_good(entries, leaving, withdraw=withdraw)
            detail = {"leaves": leaving.version, "rule": rule, "key": key, "share": 0.0, "unseen": unseen}
            split = {target: 1.0} if target else None
            try:
                served = self._serve(leaving, Stage.ROLLING_BACK, split, generation(entries), reason, evidence, detail)
            except ConflictError:
                continue
            return self._see_back(served, leaving.began)
        raise ConflictError(
            f"rollback of model {self.model}",
            found=f"{TRIES} moves by others in between",
            wanted="a moment of quiet",
            then="Look at `foregate status`, and run it again.",
        )

    def _seen_or_withdrawn(self, at: Entry, began: int, reason: str, *, withdraw: bool) -> Outcome:
        """Return the outcome of showing readers a rollback again; where that fails, `withdraw` leaves nothing."""
        outcome = self._see_back(at, began)
        rollout = self.rollout(began)
        if not withdraw or rollout.stage is Stage.ROLLED_BACK or not at.event.split:
            return outcome
        detail = {"leaves": next(iter(at.event.split)), "share": 0.0}
        return self._see_back(
            self._serve(rollout, Stage.ROLLING_BACK, None, generation(self.entries()), reason, (), detail), began
        )

    def reconcile(self) -> list[str]:
        """Return in words what was finished or undone: whatever a crash left open between ledger and readers."""
        at = pointer(self.entries())
        if at is None:
            return []
        if "stage" not in at.event.detail:
            return self._reconcile_plain(at)
        rollout = self.rollout(int(at.event.detail.get("rollout", at.sequence)))
        if rollout.stage in (Stage.ROLLING_BACK, Stage.UNVERIFIED):
            outcome = self._see_back(at, rollout.began)
            return [outcome.words]
        judged = self._was_probed(at)
        if judged is None and rollout.stage is not Stage.ROLLED_BACK:
            self._settle(at, self._see(at, rollout))
            return [f"readers see what event {at.sequence} serves: {self.rollout(rollout.began).stage}"]
        done = self._reconcile_plain(at)
        if judged is not None and rollout.stage is Stage.PROMOTING:
            self._settle(at, judged)
            done.append(f"{rollout.version}: {self.rollout(rollout.began).stage}")
        return done

    def _settle(self, served: Entry, judged: Entry) -> None:
        """Go on from a move that readers were seen to have; a plain mover has nowhere to go."""

    def _reconcile_plain(self, at: Entry) -> list[str]:
        """Show readers what an event of no rollout serves, if they do not see it."""
        if not self.service.probe(at).value:
            return []
        self.service.publish(at)
        return [f"readers see what event {at.sequence} serves: {self.service.probe(at).words}"]

    def _last_good(
        self, entries: Sequence[Entry], leaving: Rollout, *, withdraw: bool
    ) -> tuple[str | None, tuple[Evidence, ...]]:
        """Return the version to serve, and what was found of it and of those that were passed over."""
        found: list[Evidence] = []
        for version in good_versions(entries):
            if version != leaving.version:
                found.append(self.service.intact(version))
                if not found[-1].value:
                    return version, tuple(found)
        if withdraw:
            return None, tuple(found)
        broken = "; ".join(e.words for e in found)
        raise NotAllowedError(
            f"rollback of {leaving.version}",
            found=f"no good version before it{f': {broken}' if broken else ''}",
            wanted="a version that completed a rollout and whose package is intact",
            then="`foregate rollback --withdraw` takes it out and leaves nothing in service.",
        )

    def _serve(
        self,
        rollout: Rollout,
        stage: Stage,
        split: Mapping[str, float] | None,
        seen: int,
        reason: str,
        evidence: Sequence[Evidence] = (),
        detail: Mapping[str, Any] = {},  # noqa: B006 - never changed
    ) -> Entry:
        """Return the entry that moved the pointer: a compare-and-swap on the last move, and its audit row, in one."""
        _check_next(rollout, stage)
        written = {"rollout": rollout.began, "stage": str(stage), "salt": rollout.salt, **detail}
        entry = self.ledger.add(
            Event(
                Kind.SERVED,
                self.clock(),
                self.model,
                rollout.version,
                self.actor,
                evidence=tuple(evidence),
                split=split,
                reason=reason,
                detail=written,
            ),
            seen,
        )
        self.boundary(f"{stage}: served")
        return entry

    def _move(
        self,
        rollout: Rollout,
        stage: Stage,
        seen: int,
        reason: str = "",
        evidence: Sequence[Evidence] = (),
        detail: Mapping[str, Any] = {},  # noqa: B006 - never changed
    ) -> Entry:
        """Return the entry of a step that touches no traffic."""
        _check_next(rollout, stage)
        written = {"rollout": rollout.began, "stage": str(stage), **detail}
        event = Event(
            Kind.MOVED,
            self.clock(),
            self.model,
            rollout.version,
            self.actor,
            evidence=tuple(evidence),
            reason=reason,
            detail=written,
        )
        entry = self.ledger.add(event, seen)
        self.boundary(f"{stage}: moved")
        return entry

    def _see(self, served: Entry, rollout: Rollout) -> Entry:
        """Return the entry of the probe that readers passed; rolls back what they can not see, and raises."""
        try:
            self._check_latest(served)
            self.service.publish(served)
            self.boundary("published")
            evidence = self.service.probe(served)
            self._check_latest(served)
            judged = self._judged(
                PROBE, self.gates_of(self.plan, "")[PROBE], (evidence,), rollout.version, served.sequence
            )
            self.boundary("probed")
        except ConflictError:
            raise
        except BaseException as error:
            self._undo(served, rollout, f"{type(error).__name__}: {error}")
            raise
        if judged.event.judgements[0].result is not Result.PASS:
            self._undo(served, rollout, evidence.words)
            raise NotAllowedError(
                f"what readers see after {rollout.version} was moved",
                found=evidence.words,
                wanted="the scores the ledger serves, through the readers' view",
                then="What was in service before was put back; look at the view.",
            )
        return judged

    def _check_latest(self, served: Entry) -> None:
        """Raise ConflictError when the pointer has moved on: who slept meanwhile must not show readers the past."""
        at = pointer(self.entries())
        if at is None or at.sequence != served.sequence:
            raise ConflictError(
                f"event {served.sequence} of model {self.model}",
                found=f"event {at.sequence}: {at.event.sentence()}" if at else "no pointer",
                wanted="the last word on what is in service",
                then="Somebody moved it since; look at `foregate status`.",
            )

    def _undo(self, served: Entry, rollout: Rollout, why: str) -> None:
        """Roll back a move that readers can not see; before the first release that takes everything out of service."""
        failed = Event(Kind.FAILED, self.clock(), self.model, rollout.version, self.actor, PROBE, reason=why[:2000])
        self.ledger.add(failed)
        entries = self.entries()
        at = pointer(entries)
        if at is None or at.sequence != served.sequence:
            return
        steps = [e for e in self.rollout(rollout.began).moves if e.event.kind is Kind.SERVED]
        first = not [v for v in good_versions(entries) if v != rollout.version]
        why = f"readers could not be shown {rollout.version}"
        with suppress(NotAllowedError):  # nothing intact to go back to: the next reconcile goes forward
            self.rollback(why, rollout.version, withdraw=first, unseen=len(steps) == 1)

    def _see_back(self, served: Entry, began: int) -> Outcome:
        """Return the outcome after readers were shown what was rolled back to, or it was noted that they were not."""
        try:
            self.service.publish(served)
            self.boundary("published")
            probe = self.service.probe(served)
        except ConflictError:
            raise
        except ForegateError as error:
            return self._unverified(began, str(error))
        if probe.value:
            return self._unverified(began, probe.words, (probe,))
        seconds = (self.clock() - served.event.at).total_seconds()
        rollout = self.rollout(began)
        words = f"{_split_words(served)}, and readers see it; {max(0.0, seconds):.1f} s after the ledger"
        if rollout.stage is not Stage.ROLLED_BACK:
            detail = {"seconds": seconds, "generation": served.sequence}
            self._move(rollout, Stage.ROLLED_BACK, generation(self.entries()), evidence=(probe,), detail=detail)
        for other in rollouts(self.entries()):
            if other.stage in (Stage.ROLLING_BACK, Stage.UNVERIFIED):
                why = f"readers see event {served.sequence}, which came after"
                self._move(other, Stage.ROLLED_BACK, generation(self.entries()), why)
        return Outcome(self.rollout(began), moved=True, words=words)

    def _unverified(self, began: int, why: str, evidence: Sequence[Evidence] = ()) -> Outcome:
        rollout = self.rollout(began)
        if rollout.stage is not Stage.UNVERIFIED:
            self._move(rollout, Stage.UNVERIFIED, generation(self.entries()), why[:2000], evidence)
        words = f"the ledger is rolled back, but readers could not be shown it yet: {why}"
        return Outcome(self.rollout(began), moved=True, words=words)

    def _judged(
        self, phase: str, asked: Sequence[Gate], evidence: Sequence[Evidence], version: str, served: int = 0
    ) -> Entry:
        """Return the entry of a phase's judgement."""
        judgements: tuple[Judgement, ...] = judge(asked, evidence)
        detail = {"generation": served, "plan": self.plan.digest}
        return self.ledger.add(
            Event(
                Kind.JUDGED,
                self.clock(),
                self.model,
                version,
                self.actor,
                phase,
                evidence=tuple(evidence),
                judgements=judgements,
                detail=detail,
            )
        )

    def _was_probed(self, served: Entry) -> Entry | None:
        """Return the entry of the probe that readers passed after an entry, or None."""
        found = (
            e
            for e in reversed(self.entries())
            if e.event.kind is Kind.JUDGED
            and e.event.phase == PROBE
            and e.event.detail.get("generation") == served.sequence
            and all(j.result is Result.PASS for j in e.event.judgements)
        )
        return next(found, None)

    def _repeated(self, entries: Sequence[Entry], key: str) -> Outcome | None:
        """Return the outcome of a command whose key the ledger knows: it is not done a second time."""
        found = [e for e in entries if key and e.event.detail.get("key") == key]
        if not found:
            return None
        began = int(found[-1].event.detail.get("rollout", found[-1].sequence))
        words = f"done already by event {found[-1].sequence}: {found[-1].event.sentence()}"
        return Outcome(next((r for r in rollouts(entries) if r.began == began), None), moved=False, words=words)


def cite(entry: Entry) -> dict[str, Any]:
    """Return how a move names the judgement it rests on."""
    return {"event": entry.sequence, "digest": entry.digest}


def _check_next(rollout: Rollout, stage: Stage) -> None:
    """Raise NotAllowedError for a step that the state machine does not have."""
    back_to_held = rollout.stage is Stage.HELD and stage not in BACKWARD and stage is not Stage.REJECTED
    if stage not in NEXT[rollout.stage] or (back_to_held and stage not in (rollout.held_in, Stage.HELD)):
        raise NotAllowedError(
            f"rollout of {rollout.version}",
            found=f"one that is {rollout.stage}",
            wanted=f"one that may become {stage}",
            then="Look at `foregate status`.",
        )


def _split_words(served: Entry) -> str:
    split = served.event.split or {}
    return f"{next(iter(split))} is in service again" if split else "nothing is in service"
