"""The eighteen invariants of a rollout, each a function of what stood before a command and after.

The numbers are those of the design. 10 and 15 are about commands and held to where those are given; 14 is about a real
warehouse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from tests.lifecycle.rolling import World

from foregate.core.event import Entry, Kind
from foregate.core.folds import champion, versions
from foregate.core.gate import Effect, Result
from foregate.core.rollout import (
    BACKWARD,
    NEXT,
    Role,
    Rollout,
    Stage,
    active,
    champion_at,
    generation,
    good_versions,
    moment_of,
    pointer,
    roles,
    rollouts,
)
from foregate.report.log import execution_log
from foregate.report.words import number

NAMES = ("v1", "v2", "v3", "v4")
FORWARD = (Stage.SHADOW, Stage.CANARY, Stage.PROMOTING, Stage.BAKING, Stage.COMPLETED)
BEFORE_TRAFFIC = (Stage.PLANNED, Stage.AWAITS, Stage.SHADOW)
UNITS = range(40)


@dataclass
class Move:
    """A fresh move: what was there when it was written, and the rollout before and after it."""

    entry: Entry
    seen: list[Entry]
    before: Rollout | None
    after: Rollout

    @property
    def resumed(self) -> bool:
        return self.before is not None and self.before.stage is Stage.HELD

    @property
    def forward(self) -> bool:
        return self.after.stage in FORWARD and not self.resumed


@dataclass
class Look:
    """The ledger before and after a command, and the world it was given in."""

    world: World
    before: list[Entry]
    after: list[Entry]
    withdraws: bool = False

    @property
    def fresh(self) -> list[Entry]:
        return self.after[len(self.before) :]

    def moves(self) -> Iterator[Move]:
        for entry in self.fresh:
            if entry.event.kind in (Kind.MOVED, Kind.SERVED) and entry.event.detail.get("stage") != "sunset":
                seen = self.after[: entry.sequence]
                began = int(entry.event.detail.get("rollout", entry.sequence))
                before = [r for r in rollouts(seen[:-1]) if r.began == began]
                after = next(r for r in rollouts(seen) if r.began == began)
                yield Move(entry, seen[:-1], before[0] if before else None, after)


def cited(look: Look, entry: Entry) -> list[Entry]:
    by = {e.sequence: e for e in look.after}
    return [by[c["event"]] for c in entry.event.detail.get("cites", ())]


def one_version_is_champion(look: Look) -> None:  # 1
    found = [v for v, role in roles(look.after, NAMES).items() if role is Role.CHAMPION]
    first = champion(e.event for e in look.after)
    assert found == ([first] if first else [])
    for entry in look.fresh:
        if entry.event.kind is Kind.SERVED and not entry.event.split:
            assert look.withdraws or next(m for m in look.moves() if m.entry == entry).after.champion is None, entry


def readers_see_only_what_the_ledger_served(look: Look) -> None:  # 2
    served = {e.sequence: e for e in look.after if e.event.kind is Kind.SERVED}
    seen = look.world.readers.seen()
    if seen["generation"]:
        assert dict(served[seen["generation"]].event.split or {}) == seen["split"]
    assert all(served[e.sequence].digest == e.digest for e in look.world.service.published)


def moves_follow_what_was_seen(look: Look) -> None:  # 2
    for move in look.moves():
        assert move.after.stage in NEXT[move.before.stage if move.before else None], move
        if move.resumed and move.after.stage not in {*BACKWARD, Stage.REJECTED}:
            assert move.before is not None
            assert move.after.stage in (move.before.held_in, Stage.HELD)


def generations_only_rise(look: Look) -> None:  # 3
    published = [e.sequence for e in look.world.service.published]
    assert published == sorted(published)


def the_ledger_replays_to_the_pointer(look: Look) -> None:  # 4
    moments = list(moment_of(look.after)) if look.fresh else []
    for when in {m + timedelta(seconds=s) for _, m in moments for s in (-1, 0, 1)}:
        upto = [e for e, m in moments if m <= when and e.event.kind is Kind.SERVED]
        assert champion_at(look.after, when) == (upto[-1] if upto else None)
    last = pointer(look.after)
    assert not moments or last == champion_at(look.after, moments[-1][1])
    assert last == pointer(look.world.store.current(look.world.model))


def a_promotion_starts_over_a_warm_last_good(look: Look) -> None:  # 5
    service = look.world.service
    for move in look.moves():
        if move.before is None or (move.forward and move.before.stage in BEFORE_TRAFFIC[:2]):
            good = [v for v in good_versions(move.seen) if v != move.after.version][:1]
            assert not {*good, move.after.version} & (service.broken | service.cold), move


def a_move_cites_a_judgement_of_its_version(look: Look) -> None:  # 6
    for move in look.moves():
        if move.forward or move.after.stage in (Stage.PLANNED, Stage.AWAITS):
            found = cited(look, move.entry)
            assert found or move.resumed, move.entry
            by = {c["event"]: c["digest"] for c in move.entry.event.detail.get("cites", ())}
            assert all(by[e.sequence] == e.digest and e.sequence < move.entry.sequence for e in found)
            assert all(e.event.kind is Kind.JUDGED and e.event.version == move.after.version for e in found)


def nothing_moves_by_stale_evidence_or_another_plan(look: Look) -> None:  # 7
    plan = look.world.plan
    for move in look.moves():
        if move.forward:
            assert move.after.plan == plan
            assert {e.event.detail["plan"] for e in cited(look, move.entry)} == {plan.digest}
        if move.before is None or (move.forward and move.before.stage in BEFORE_TRAFFIC[:2]):
            about = [e.event for e in move.seen if e.event.version == move.after.version and e.event.phase == "dates"]
            made = max(e.at for e in about if e.kind is Kind.JUDGED)
            assert (move.entry.event.at - made).days <= plan.evidence_days


def one_rollout_is_open(look: Look) -> None:  # 8
    going = [r for r in rollouts(look.after) if r.is_open and r.stage not in BACKWARD]
    assert len(going) <= 1, going


def enough_people_signed_this_version_and_plan(look: Look) -> None:  # 9
    plan = look.world.plan
    for move in look.moves():
        if move.forward and move.after.stage is not Stage.BAKING:
            since = 0
            wanted = plan.signatures
            if move.after.stage is Stage.COMPLETED:
                since = max(e.sequence for e in move.after.moves if e.event.kind is Kind.SERVED)
                wanted = plan.bake_signatures
            assert len(names_on(look, move, since)) >= wanted, move


def names_on(look: Look, move: Move, since: int) -> set[str]:
    state = versions((e.event for e in move.seen), look.world.clock().date())[move.after.version]
    digest = next(e.subject for e in state.measured() if e.name == "package_digest")
    bound = {"package": digest, "plan": look.world.plan.digest}
    given = [e.event for e in move.seen if e.event.kind is Kind.SIGNED and e.sequence > since]
    names = {
        e.actor.strip().casefold()
        for e in given
        if e.version == move.after.version and e.detail == bound and e.until and e.until >= move.entry.event.at.date()
    }
    return names if look.world.plan.author_signs else names - {"ada"}


def only_a_pass_or_a_waiver_moves(look: Look) -> None:  # 11
    for move in look.moves():
        if not move.forward:
            continue
        on = move.entry.event.at.date()
        waived = versions((e.event for e in move.seen), on)[move.after.version].waivers
        accepted = {w.gate for w in waived if w.until >= on}
        for judgement in (j for e in cited(look, move.entry) for j in e.event.judgements):
            asks = judgement.gate.effect is Effect.SIGN_OFF
            excused = asks and {judgement.label, judgement.gate.evidence} & accepted
            assert judgement.result is Result.PASS or judgement.gate.effect is Effect.INFORM or excused, judgement
            mood = look.world.service.moods.get(judgement.gate.evidence, "good")
            assert mood == "good" or asks or judgement.gate.effect is Effect.INFORM, judgement


def an_alert_goes_back_once(look: Look) -> None:  # 12
    for move in look.moves():
        if move.entry.event.detail.get("rule") and move.entry.event.split:
            (target,) = move.entry.event.split
            good = [v for v in good_versions(move.seen) if v != move.after.version]
            assert target in good
            assert set(good[: good.index(target)]) <= look.world.service.broken
    assert all(r.automatic <= 1 for r in rollouts(look.after))


def nobody_comes_back_beside_another(look: Look) -> None:  # 12
    for move in look.moves():
        if move.forward and move.entry.event.kind is Kind.SERVED:
            at = pointer(move.seen)
            before = dict(at.event.split or {}) if at else {}
            assert set(move.entry.event.split or {}) <= {move.after.version, *before}, move.entry


def a_shadow_is_seen_by_nobody(look: Look) -> None:  # 13
    current = active(look.after)
    if current and (current.held_in if current.stage is Stage.HELD else current.stage) in BEFORE_TRAFFIC:
        seen = {look.world.readers.version_of(unit) for unit in UNITS}
        assert current.version not in seen or look.world.split == {current.version: 1.0}, "gone back to, as a whole"
    assert all(m.entry.event.kind is Kind.MOVED for m in look.moves() if m.after.stage in BEFORE_TRAFFIC)


def the_chain_holds_and_only_grows(look: Look) -> None:  # 16; reading it checked every digest
    assert [e.digest for e in look.after[: len(look.before)]] == [e.digest for e in look.before]


def order_is_not_by_the_clock(look: Look) -> None:  # 17
    moments = [m for _, m in moment_of(look.after)]
    assert moments == sorted(moments)
    if not look.fresh:
        return
    blind = [replace(e, event=replace(e.event, at=datetime(2000, 1, 1, tzinfo=UTC))) for e in look.after]
    assert roles(blind, NAMES) == roles(look.after, NAMES)
    assert [(r.stage, r.share, r.held_in) for r in rollouts(blind)] == [
        (r.stage, r.share, r.held_in) for r in rollouts(look.after)
    ]
    assert (good_versions(blind), generation(blind)) == (good_versions(look.after), generation(look.after))


INVARIANTS: tuple[Callable[[Look], None], ...] = (
    one_version_is_champion,
    readers_see_only_what_the_ledger_served,
    moves_follow_what_was_seen,
    generations_only_rise,
    the_ledger_replays_to_the_pointer,
    a_promotion_starts_over_a_warm_last_good,
    a_move_cites_a_judgement_of_its_version,
    nothing_moves_by_stale_evidence_or_another_plan,
    one_rollout_is_open,
    enough_people_signed_this_version_and_plan,
    only_a_pass_or_a_waiver_moves,
    an_alert_goes_back_once,
    nobody_comes_back_beside_another,
    a_shadow_is_seen_by_nobody,
    the_chain_holds_and_only_grows,
    order_is_not_by_the_clock,
)


def the_log_says_what_was_recorded(world: World) -> None:  # 18
    entries = world.entries()
    text = execution_log(entries, world.model, world.clock().date())
    recorded = {number(e) for entry in entries for e in entry.event.evidence} | {"nothing"}
    rows = [line.split(" | ") for line in text.splitlines() if re.match(r"\| [a-z_]+(\[.*\])? \| ", line)]
    gates = [row[2] for row in rows if row[1] in {"PASS", "FAIL", "CANNOT TELL", "ERROR", "NOT RUN"}]
    assert set(gates) <= recorded
