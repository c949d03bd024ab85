"""`alarms`: false pages of a healthy model, how soon a fallen one is found, and what peers do with the same runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from foregate.core.alerting import ALERTED, Rule, Severity
from foregate.core.evidence import Evidence
from foregate.lifecycle.alerts import AlertSettings, budget, replay, rules_of
from foregate.metrics.estimate import Estimate, Floats, Integers
from foregate.metrics.maturity import Delay, adjusted_rate
from foregate.metrics.rates import rate, wilson
from foregate.metrics.sequential import arm_e_process
from foregate.modeling.healthy import FIRST_DAY, Volume, contacts, simulate_year

# Seed 001: 2,800 leads a month, 4.83% of them promised (4.56% of its champion), the best tenth at 2.03 times that. Seed
# 002: 90% of the conversions within 43 days, measured on the conversions of 37,805 matured leads at 4.36%.
LEADS_A_DAY, LIFT, WINDOW, SHOWN, EVENTS = 2_800 / 30, 2.03, 43, 0.9, 1_648
PROMISED, CHAMPION = 0.0483, 0.0456
# The same promise if its last tenth comes after the window, where nothing counts it.
COUNTED = SHOWN * PROMISED
PROCESSES, CHUNK, DAYS_A_YEAR = 2, 20, 365.25
# So many days fill everything that looks back, and are whole weeks for the peers that look weekly.
WARMUP, HORIZON, SOON = 105, 120, 60
YEARS, YEARS_BESIDE, YEARS_OF_SEEDS, FALLS, FALLS_OF_SEEDS = 300, 300, 40, 300, 40
ARM_RUNS, ARM_LEADS, ARM_DAYS = 2_000, 46, 60
TARGETS = {"pages_a_year": 1.0, "median_days": 25.0}
WEEK, YEAR = 7, 365


@dataclass(frozen=True)
class Scenario:
    """What is simulated and which rules look at it: `share` of the promise is kept from the first day on."""

    name: str
    rate: float = PROMISED
    share: float = 1.0
    warmup: int = 0
    rules: str = "shipped"
    runs: int = FALLS
    critical_only: bool = True


HEALTHY = (
    Scenario("promise kept", runs=YEARS, critical_only=False),
    Scenario("promise 10 % too high", share=0.9, runs=YEARS_BESIDE),
    Scenario("promise kept", rate=CHAMPION, runs=YEARS_BESIDE),
    Scenario("promise kept", rules="seeds", runs=YEARS_OF_SEEDS, critical_only=False),
)
FALLEN = (
    *(Scenario(f"x{share:g}", PROMISED, share, warmup) for share in (1.0, 0.7, 0.5, 0.0) for warmup in (0, WARMUP)),
    *(Scenario("x0.5", rate, 0.5, warmup) for rate in (CHAMPION, COUNTED) for warmup in (0, WARMUP)),
    *(Scenario(f"x{share:g}", share=share, rules="seeds", runs=FALLS_OF_SEEDS) for share in (1.0, 0.5)),
)


def measure() -> dict[str, Any]:
    """Return false pages a year, days until a fall is found, and the arms' false alarms, each beside its peers."""
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        years = {one: _spread(pool, _noise, one) for one in HEALTHY}
        falls = {one: _spread(pool, _first_pages, one) for one in FALLEN}
        arms = {late: [pool.submit(_arm_runs, share, late) for share in (1.0, 0.5)] for late in (True, False)}
        healthy = [_per_year(one, _joined(parts)) for one, parts in years.items()]
        found = [_days(one, _joined(parts)) for one, parts in falls.items()]
        results: dict[str, Any] = {"healthy": healthy, "falls": found}
        compared = {late: _arms_compared(*(one.result() for one in runs)) for late, runs in arms.items()}
    own = next(r["per_year"] for r in healthy[0]["by_rule"] if r["rule"] == "conversion_shortfall")
    results["peers"] = _peers(own, found)
    results |= {"arms": compared[True], "arms_at_once": compared[False]}
    results |= {"targets": TARGETS, "not_simulated": _not_simulated(), "best_tenth": LIFT}
    for line in _said(results):
        print(line)
    return results


def _spread(pool: ProcessPoolExecutor, work: Callable[..., list[Any]], one: Scenario) -> list[Future[list[Any]]]:
    starts = range(0, one.runs, CHUNK)
    return [pool.submit(work, one, first, min(CHUNK, one.runs - first)) for first in starts]


def _joined(parts: Iterable[Future[list[Any]]]) -> list[Any]:
    return [entry for part in parts for entry in part.result()]


def _volume(promised: float) -> Volume:
    shown = 1 - (1 - SHOWN) ** (np.arange(WINDOW + 1) / WINDOW)
    return Volume(LEADS_A_DAY, promised, LIFT * promised, Delay(shown / shown[-1], EVENTS))


def _rules(one: Scenario) -> list[Rule]:
    """Return the scenario's rules, of those whose evidence is simulated."""
    rules = rules_of(AlertSettings(rules="seeds" if one.rules == "seeds" else "shipped"))
    simulated = _simulated()
    asked = [rule for rule in rules if rule.evidence in simulated]
    return [rule for rule in asked if rule.severity == Severity.CRITICAL] if one.critical_only else asked


def _simulated() -> set[str]:
    return {evidence.name for _, found in simulate_year(0, _volume(PROMISED), days=2) for evidence in found}


def _not_simulated() -> list[str]:
    simulated = _simulated()
    return [rule.name for rule in rules_of(AlertSettings()) if rule.evidence not in simulated]


def _run(one: Scenario, rules: Sequence[Rule], seed: int, days: int) -> Iterator[tuple[date, list[Evidence]]]:
    only = {rule.evidence for rule in rules}
    return simulate_year(seed, _volume(one.rate), days, one.share, one.warmup, only=only)


def _noise(one: Scenario, first: int, runs: int) -> list[dict[str, Any]]:
    rules, paged = _rules(one), 0

    def year(seed: int) -> list[tuple[date, list[Evidence]]]:
        nonlocal paged
        readings = list(_run(one, rules, first + seed, YEAR))
        paged += _days_paged([rule for rule in rules if rule.severity == Severity.CRITICAL], readings)
        return readings

    found = budget(rules, year, runs)
    return [
        {"rule": n.rule, "severity": n.severity, "alerts": n.alerts, "days": n.days}
        | {"runs": round(n.share_of_runs.value * runs), "paged": paged}
        for n in found
        if n.rule  # the last is all of them together, whatever their severity
    ]


def _days_paged(critical: Sequence[Rule], readings: Sequence[tuple[date, list[Evidence]]]) -> int:
    """Return on how many days at least one page is open."""
    paged = np.zeros(len(readings), np.bool_)
    began: dict[str, int] = {}
    for told in replay(critical, readings):
        at = (told.day - FIRST_DAY).days
        if told.what == ALERTED:
            began.setdefault(told.rule, at)
        else:
            paged[began.pop(told.rule) : at] = True
    for at in began.values():
        paged[at:] = True
    return int(np.count_nonzero(paged))


def _per_year(one: Scenario, parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return alerts a year by rule, and of all pages (critical rules) and warnings together."""
    rows = []
    for name in dict.fromkeys(p["rule"] for p in parts):
        of_rule = [p for p in parts if p["rule"] == name]
        alerts, days, runs = (sum(p[key] for p in of_rule) for key in ("alerts", "days", "runs"))
        row = {"rule": name, "severity": of_rule[0]["severity"], "alerts": alerts, "days": days}
        rows.append(row | {"per_year": _yearly(alerts, days), "share_of_years": _rounded(rate(runs, one.runs))})
    days, paged = rows[0]["days"], sum(p["paged"] for p in parts if p["rule"] == rows[0]["rule"])
    together = {
        severity: _yearly(sum(r["alerts"] for r in rows if r["severity"] == severity), days)
        for severity in map(str, Severity)
        if any(r["severity"] == severity for r in rows)
    }
    return asdict(one) | {"by_rule": rows, "together": together, "years": one.runs, "paged": round(paged / days, 4)}


def _yearly(alerts: int, days: int) -> list[float]:
    """Return alerts a year with Garwood's interval."""
    return [round(DAYS_A_YEAR * x, 3) for x in adjusted_rate(alerts, days)[:3]]


def _rounded(found: Estimate) -> list[float]:
    return [round(x, 4) for x in found[:3]]


def _first_pages(one: Scenario, first: int, runs: int) -> list[dict[str, int]]:
    """Return, for each run, the days until the first page by rule; a page of the first day's reading came after one."""
    rules, found = _rules(one), []
    critical = {rule.name for rule in rules if rule.severity == Severity.CRITICAL}
    for seed in range(first, first + runs):
        told = replay(rules, _run(one, rules, seed, _horizon(one.share)))
        pages = [t for t in reversed(told) if t.what == ALERTED and not t.muted and t.rule in critical]
        found.append({page.rule: (page.day - FIRST_DAY).days + 1 for page in pages})
    return found


def _horizon(share: float) -> int:
    """Return how many days a run goes on: a deep fall is found soon."""
    return SOON if share <= 0.5 else HORIZON


def _days(one: Scenario, runs: Sequence[dict[str, int]]) -> dict[str, Any]:
    names = [rule.name for rule in _rules(one) if rule.severity == Severity.CRITICAL]
    return asdict(one) | {
        "any": _until([min(run.values(), default=math.inf) for run in runs]),
        "by_rule": {name: _until([run.get(name, math.inf) for run in runs]) for name in names},
    }


def _until(days: Sequence[float]) -> dict[str, Any]:
    """Return the median with its interval by order statistics, the 90th percentile and the share found soon.

    None stands for later than the runs go.
    """
    ordered, runs = np.sort(np.asarray(days, dtype=np.float64)), len(days)
    half = 0.98 * math.sqrt(runs)
    places = [runs // 2, max(0, math.floor(runs / 2 - half)), min(runs - 1, math.ceil(runs / 2 + half))]
    middle, low, high, late = (float(ordered[at]) for at in (*places, math.ceil(0.9 * runs) - 1))
    soon = int(np.count_nonzero(ordered <= SOON))
    known = [None if math.isinf(day) else day for day in (middle, low, high, late)]
    return {"median": known[:3], "ninety": known[3], "soon": _rounded(rate(soon, runs)), "runs": runs}


# Peers of conversion_shortfall: Page's (1954) CUSUM for a halved Poisson mean, over what each of them looks at.


def _peers(own: Sequence[float], found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what each CUSUM finds when it is given the shipped rule's own number of false alarms in the same years."""
    volume = _volume(PROMISED)
    years = [_looks(volume, seed, YEAR, 1.0, 0) for seed in range(YEARS)]
    fallen = {
        f"x{share:g} after {warmup}": (
            warmup,
            [_looks(volume, seed, _horizon(share), share, warmup) for seed in range(FALLS)],
        )
        for share in (0.5, 0.7)
        for warmup in (0, WARMUP)
    }
    rows = []
    for name, every, late in PEERS:
        steps = np.stack([year[name] for year in years])
        threshold = (
            _shipped("conversion_shortfall")
            if name == NAIVE
            else _threshold(steps, own[0] * YEARS * YEAR / DAYS_A_YEAR)
        )
        alarms = sum(len(looks) for looks in _alarms(steps, threshold))
        row = {"peer": name, "threshold": round(threshold, 2), "per_year": _yearly(alarms, YEARS * YEAR)}
        for fall, (warmup, runs) in fallen.items():
            paths = _alarms(np.stack([run[name] for run in runs]), threshold)
            # A weekly look is on the last day of its week, or `late` days after it.
            days = [[every * (look + 1) + late - warmup for look in looks] for looks in paths]
            row[fall] = _until([min((d for d in one if d > 0), default=math.inf) for one in days])
        rows.append(row)
    ours = [f for f in found if (f["rules"], f["rate"]) == ("shipped", PROMISED)]
    by_fall = {f"{f['name']} after {f['warmup']}": f["by_rule"]["conversion_shortfall"] for f in ours}
    shipped = {fall: by_fall[fall] for fall in fallen}
    return [{"peer": "Foregate, conversion_shortfall", "per_year": own, **shipped}, *rows]


def _shipped(name: str) -> float:
    """Return the threshold of a shipped rule, which is above it."""
    return next(rule.above for rule in rules_of(AlertSettings()) if rule.name == name and rule.above is not None)


NAIVE = "CUSUM, conversions so far of the week's leads against the promise"
USUAL = "CUSUM, conversions so far of the week's leads against those of a usual week"
MATURE = "CUSUM, the week's leads once they have matured"
DAILY = "CUSUM, conversions of the day against those expected by age"
# How many days apart the looks are, and how long after its last day a look comes.
PEERS = ((NAIVE, WEEK, 0), (USUAL, WEEK, 0), (MATURE, WEEK, WINDOW), (DAILY, 1, 0))


def _looks(volume: Volume, seed: int, days: int, share: float, warmup: int) -> dict[str, Floats]:
    """Return the CUSUM's step at each look of each peer, in a run of the same leads as the rules looked at."""
    leads = contacts(seed, volume, days, share, warmup, FIRST_DAY.toordinal())
    length, first = warmup + days, FIRST_DAY.toordinal() - warmup
    contact, hit = leads.contacted - first, leads.converted > 0
    done = leads.converted - first
    rows = np.bincount(contact, minlength=length)
    weeks = length // WEEK
    week, last = contact // WEEK, (contact // WEEK) * WEEK + WEEK - 1
    by_week = np.bincount(week, minlength=weeks)[:weeks]
    within = np.bincount(week[hit & (done <= last)], minlength=weeks)[:weeks]
    whole = np.bincount(week[hit], minlength=weeks)[:weeks]
    matured = max(0, (length - WINDOW) // WEEK)
    part = float(volume.delay.shown[:WEEK].mean())
    by_day = np.bincount(done[hit & (done < length)], minlength=length)
    due = np.convolve(rows, np.diff(volume.delay.shown, prepend=0.0))[:length]
    return {
        NAIVE: _steps(within, by_week * volume.rate),
        USUAL: _steps(within, by_week * volume.rate * part),
        MATURE: _steps(whole[:matured], by_week[:matured] * volume.rate),
        DAILY: _steps(by_day, due * volume.rate),
    }


def _steps(observed: Integers, expected: NDArray[Any]) -> Floats:
    return np.asarray(observed * math.log(0.5) + expected * 0.5, dtype=np.float64)


def _alarms(steps: Floats, threshold: float) -> list[list[int]]:
    """Return the looks at which each run's CUSUM passes the threshold; it begins again at 0 after each."""
    sums = np.zeros(len(steps))
    found: list[list[int]] = [[] for _ in steps]
    for look, step in enumerate(steps.T):
        sums = np.maximum(0.0, sums + step)
        for run in np.flatnonzero(sums > threshold):
            found[run].append(look)
            sums[run] = 0.0
    return found


def _threshold(steps: Floats, alarms: float) -> float:
    """Return the lowest threshold, to a hundredth, with which the runs have no more alarms than that."""
    low, high = 0.0, 50.0
    while high - low > 0.01:
        middle = (low + high) / 2
        many = sum(map(len, _alarms(steps, middle))) > alarms
        low, high = (middle, high) if many else (low, middle)
    return high


# Two arms that enrol in step: the e-process as challenger_harm reads it, and z-tests on the same runs.


def _arm_runs(share: float, late: bool) -> list[tuple[Floats, Floats]]:
    """Return, for each run, the e-process after each day and the z statistic, both for a challenger that is worse.

    `late`: conversions come as late as elsewhere here, else on the day of the contact.
    """
    found = []
    for seed in range(ARM_RUNS):
        days, ours = _arm_conversions(np.random.default_rng((seed, round(100 * share))), share, late)
        log_values = arm_e_process(ours, np.full(ours.size, 0.5))
        by_day = np.searchsorted(days, np.arange(ARM_DAYS), side="right")
        mine = np.concatenate([[0], np.cumsum(ours)])[by_day]
        leads = ARM_LEADS * np.arange(1, ARM_DAYS + 1)
        pooled = by_day / (2 * leads)
        spread = np.sqrt(np.maximum(pooled * (1 - pooled) * 2 * leads, 1e-12))
        found.append((log_values[by_day], (by_day - 2 * mine) / spread))
    return found


def _arm_conversions(random: np.random.Generator, share: float, late: bool) -> tuple[Integers, Integers]:
    """Return the day of each conversion, in order, and whether it is the challenger's."""
    contact = np.tile(np.repeat(np.arange(ARM_DAYS), ARM_LEADS), 2)
    ours = np.repeat([0, 1], ARM_DAYS * ARM_LEADS)
    hit = random.random(contact.size) < CHAMPION * np.where(ours == 1, share, 1.0)
    shown = _volume(CHAMPION).delay.shown
    delay = np.searchsorted(shown, random.random(int(hit.sum())), side="right")
    day = contact[hit] + (delay if late else 0)
    # Conversions of one day in an order that knows nothing of the arms.
    order = np.lexsort((random.random(day.size), day))
    kept = order[day[order] < ARM_DAYS]
    return day[kept], ours[hit][kept]


def _arms_compared(same: Sequence[Any], halved: Sequence[Any]) -> dict[str, Any]:
    harm = _shipped("challenger_harm")
    alpha = math.exp(-harm)
    values = [[np.stack([run[which] for run in runs]) for runs in (same, halved)] for which in (0, 1)]
    fitted = float(np.quantile(values[1][0].max(axis=1), 1 - alpha))
    asked = (
        ("Foregate, e-process (challenger_harm)", 0, harm),
        ("z-test, looked at daily", 1, float(ndtri(1 - alpha))),
        (f"z-test, Bonferroni for {ARM_DAYS} looks", 1, float(ndtri(1 - alpha / ARM_DAYS))),
        (f"z-test, bound fitted to {ARM_DAYS} looks of these runs", 1, fitted),
    )
    rows = []
    for name, which, above in asked:
        first = [[_first_over(path, above) for path in paths] for paths in values[which]]
        false = sum(map(math.isfinite, first[0]))
        row = {"test": name, "threshold": round(above, 3), "false": _rounded(wilson(false, ARM_RUNS))}
        rows.append(row | {"halved": _until(first[1])})
    return {"alpha": round(alpha, 4), "runs": ARM_RUNS, "days": ARM_DAYS, "leads_a_day": ARM_LEADS, "tests": rows}


def _first_over(path: Floats, above: float) -> float:
    over = np.flatnonzero(path > above)
    return float(over[0] + 1) if over.size else math.inf


def _said(results: dict[str, Any]) -> Iterator[str]:
    for one in results["healthy"]:
        yield f"healthy, {one['name']}, {one['rules']} rules, {one['rate']:.2%}: {one['together']} a year"
    for one in results["falls"]:
        found = one["any"]
        where = f"{one['rules']} rules, {one['rate']:.2%}, warm-up {one['warmup']}"
        yield f"{one['name']}, {where}: median {found['median']}, 90 % {found['ninety']}, within 60 {found['soon'][0]}"
    for row in results["peers"]:
        yield f"{row['peer']}: {row['per_year']} a year, {[f['median'] for f in row.values() if isinstance(f, dict)]}"
    for row in (*results["arms"]["tests"], *results["arms_at_once"]["tests"]):
        yield f"{row['test']}: false {row['false']}, halved {row['halved']}"
