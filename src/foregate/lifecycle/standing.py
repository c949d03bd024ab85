"""What a rollout stands on: its version's judgement, waivers, names, plan, and the champion it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from foregate.core.errors import NotAllowedError
from foregate.core.event import Entry, Kind
from foregate.core.folds import PROMOTABLE, VersionState, Waiver, leader, versions
from foregate.core.rollout import Rollout, Stage, ended_at, pointer
from foregate.lifecycle.crossings import Crossing
from foregate.lifecycle.moving import Mover
from foregate.lifecycle.signatures import author_of, signed_by


@dataclass
class Standing(Mover):
    """Answers what a rollout stands on, from the ledger as it is now."""

    def _waivers(self, version: str) -> list[Waiver]:
        """Return what named persons have accepted for the version since its last rollout ended."""
        entries = self.entries()
        since = ended_at(entries, version)
        return [
            Waiver(str(e.event.detail.get("gate", "")), e.event.actor, e.event.reason, e.event.until)
            for e in entries
            if e.event.kind is Kind.WAIVED and e.event.version == version and e.sequence > since and e.event.until
        ]

    def _names(self, entries: Sequence[Entry], version: str, since: int = 0) -> set[str]:
        since = max(since, ended_at(entries, version))
        names = signed_by(entries, self._state(version), self.plan, self.clock().date(), since)
        return names if self.plan.author_signs else names - {author_of(entries, version)}

    def _unsigned(self, entries: Sequence[Entry], version: str) -> str:
        short = self.plan.signatures - len(self._names(entries, version))
        return f"{self.plan.signatures - short} signatures in force" if short > 0 else ""

    def _unbaked(self, current: Rollout, entries: Sequence[Entry], step: Crossing) -> str:
        if step.stage is not Stage.COMPLETED or not self.plan.bake_signatures:
            return ""
        since = max(e.sequence for e in current.moves if e.event.kind is Kind.SERVED)
        names = self._names(entries, current.version, since)
        short = self.plan.bake_signatures - len(names)
        return (
            f"{short} signatures after the release are missing: `foregate sign {current.version}`" if short > 0 else ""
        )

    def _moved_on(self, current: Rollout, entries: Sequence[Entry]) -> str:
        """Return what the rollout was started on and is no more: its plan, or the champion it is compared with."""
        if current.plan != self.plan:
            ours, theirs = asdict(self.plan), asdict(current.plan)
            keys = ", ".join(k for k in ours if ours[k] != theirs[k])
            return f"another plan in foregate.toml ([rollout] {keys}) than the one it was started and signed by"
        now = self._champion(entries)
        if current.served_at is None and now != current.champion:
            return f"{now or 'nothing'} in service, where it was started against {current.champion or 'nothing'}"
        return ""

    def _fault(self, current: Rollout, entries: Sequence[Entry]) -> str:
        if moved := self._moved_on(current, entries):
            return moved
        state = self._state(current.version).state
        if state not in PROMOTABLE:
            return f"version {current.version} {'' if state.value.startswith(('awaits', 'broke')) else 'is '}{state}"
        unsigned = self._unsigned(entries, current.version)
        return f"only {unsigned} of {self.plan.signatures}" if unsigned else ""

    def _state(self, version: str) -> VersionState:
        found = versions((e.event for e in self.entries()), self.clock().date()).get(version)
        if found is None:
            raise NotAllowedError(
                f"version {version}", found="no such version", wanted="one of the registry", then="`foregate status`"
            )
        return found

    def _champion(self, entries: Sequence[Entry]) -> str | None:
        at = pointer(entries)
        return leader(at.event) if at else None

    def _refused(self, version: str, found: str, verb: str) -> NotAllowedError:
        return NotAllowedError(
            f"rollout of {version}", found=found, wanted="one that can go on", then=f"`foregate {verb} --reason WHY`"
        )

    def _named(self, version: str | None) -> str:
        if version is not None:
            return version
        found = list(versions((e.event for e in self.entries()), self.clock().date()))
        if not found:
            raise NotAllowedError("promote", found="no version", wanted="one", then="`foregate run` makes one.")
        return found[-1]

    def _check_same(self, current: Rollout, version: str | None) -> None:
        if version is not None and version != current.version:
            by = current.moved.actor if current.moved else "somebody"
            raise NotAllowedError(
                f"rollout of {version}",
                found=f"{current.version}, {current.stage} since {current.entered:%Y-%m-%d}, moved by {by}",
                wanted="one rollout at a time",
                then="Wait for it, or `foregate reject` or `foregate rollback` it; its evidence is not the other's.",
            )

    def _check_promotable(self, version: str) -> None:
        state = self._state(version).state
        if state not in PROMOTABLE:
            what = state.value if state.value.startswith(("awaits", "broke")) else f"is {state}"
            raise NotAllowedError(
                f"version {version}",
                found=f"a version that {what}",
                wanted="every gate passed or accepted",
                then="`foregate show` names the gates.",
            )
