"""Race: every declared rule weighs the experts from every open day, beside no-change, and one is chosen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from foregate.cases.prices.combining import LEAST_FLAGS, NAIVE, Choice, choose, combined, extremes, followed
from foregate.cases.prices.origins import Split, split
from foregate.cases.prices.scoring import naive_errors, relative_mae
from foregate.cases.prices.tracks import Floats, Track
from foregate.cases.prices.work import Work
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.metrics.diebold import diebold_mariano
from foregate.modeling.measured import Measured, digest_of
from foregate.modeling.price_limits import blended

DOES = "Weighs the experts by every declared rule, weights moved by outcomes that had come, and chooses on open days."
LEAST_ORIGINS = 250
RIVALS = ("ml_poly", "equal", "median", "inverse_mse_250_half", "seed_mape")
GATES = (
    Gate("open_origins", at_least=LEAST_ORIGINS, why="on a shorter past no rule can be told from luck"),
    Gate(
        "extreme_share",
        at_most=0.1,
        effect=Effect.SIGN_OFF,
        why="forecasts beyond three standard deviations of the return",
    ),
    Gate("incoherent_share", at_most=0.1, effect=Effect.SIGN_OFF, why="horizons that contradict each other"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield every rule's error beside no-change's by series and horizon, who is chosen, and what limits would flag.

    Of the rules only those the file declares can be chosen; the rivals are told beside them.
    """
    made = Measured(run.as_of, digest_of(*sorted(work.fingerprints.items())))
    declared = tuple(dict.fromkeys((*work.settings.rules, NAIVE)))
    rules = tuple(dict.fromkeys((*declared, *RIVALS)))
    for series, track in work.tracks.items():
        parts = split(track, work.settings)
        said = {rule: combined(track, rule, work.settings).said for rule in rules}
        errors = {rule: track.errors(one) for rule, one in said.items()}
        naive = naive_errors(track)
        chosen = []
        for row, (name, ahead) in enumerate(work.settings.horizons.items()):
            key, rows = f"{series} {name}", parts.open[row]
            words = (
                f"{int(rows.sum()):,} origins, {int(rows.sum()) // ahead:,} of them independent, of {rows.size:,} days "
            )
            words += f"less burn_in_days {work.settings.burn_in_days} and test_days {work.settings.test_days}"
            yield made.count("open_origins", int(rows.sum()), int(rows.sum()), key, words)
            for rule in rules:
                ratio = relative_mae(errors[rule][row], naive[row], rows, ahead, made.level)
                yield made.estimate("rule_mae_ratio", ratio, Unit.RATIO, f"{key} {rule}")
            choice = _chosen(work, track, said, {rule: errors[rule] for rule in declared}, parts, row)
            chosen.append(choice)
            yield made.count("chosen", rules.index(choice.rule), int(rows.sum()), key, f"{choice.rule}: {choice.words}")
        work.choices[series] = tuple(chosen)
        yield from _flags(made, work, track, parts)


def _chosen(
    work: Work, track: Track, said: dict[str, Floats], errors: dict[str, Floats], parts: Split, row: int
) -> Choice:
    """Return the choice for a horizon; without open origins the first rule stands untested, as the gate will say."""
    known = parts.open[row] & np.all([np.isfinite(one[row]) for one in errors.values()], axis=0)
    if not known.any():
        return Choice(next(iter(errors)), False, "no open origin to choose on")
    rule, words = choose({name: one[row][known] for name, one in errors.items()}, track.horizons[row])
    blends, told = _blends(work, track, said[rule], parts, row)
    return Choice(rule, blends, f"{words}; {told}")


def _blends(work: Work, track: Track, said: Floats, parts: Split, row: int) -> tuple[bool, str]:
    """Return whether extreme forecasts are pulled half way to no-change, and why: where that has won, else never."""
    flagged = extremes(track, said, work.settings)
    known = parts.open[row] & np.isfinite(track.errors(said)[row])
    count = int((flagged[row] & known).sum())
    if count < LEAST_FLAGS:
        return False, f"{count} extreme forecasts, too few to learn from: told as they are"
    pulled = track.errors(blended(said, flagged))[row][known]
    found = diebold_mariano(pulled, track.errors(said)[row][known], track.horizons[row], "less")
    won = bool(found.p_value < 0.05)
    return won, f"{count} extreme forecasts: pulling them back {'has won' if won else 'has not won'}"


def _flags(made: Measured, work: Work, track: Track, parts: Split) -> Iterator[Evidence]:
    found = followed(track, work.choices[track.name], work.settings)
    work.followed[track.name] = found
    for row, name in enumerate(work.settings.horizons):
        rows = parts.open[row]
        hits = int((found.extreme[row] & rows).sum())
        yield made.rate("extreme_share", hits, int(rows.sum()), f"{track.name} {name}")
    longest = parts.open[-1]
    yield made.rate("incoherent_share", int((found.incoherent & longest).sum()), int(longest.sum()), track.name)
