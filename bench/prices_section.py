"""The page's section on prices: what the ensemble, its rivals and the intervals lost, and what the backtest costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bench.table import header, row

WIDE, MIDDLE, NARROW = "95 %", "80 %", "50 %"
NO_CHANGE, EQUAL, SEED = "no_change", "equal", "seed_mape"
RULES_WORDS = """
Mean absolute error over that of no change, in units of the price; below 1 errs less. From every day on after the first
{burn_in}, weights by outcomes that had come by then. In brackets the 95 % interval of Diebold and Mariano's test;
"surely" means that it leaves out 1. Of {cells} cells (a series at a horizon) one or two would be sure by luck alone.
`{default}` is the shipped rule, `{unproven}` the same learner without its evidence (and without the 2 % dealt out
equally, which "unproven" keeps), `{seed}` the seed's exp(1 / MAPE), MAPE in percent, of the last 30 outcomes. "+ 5 %"
has a ninth expert who is always 5 % above the price, "+ trees" the boosted trees of a project, refitted yearly, which
see no other series here. The means are those of the ratios of all cells.
"""
EVIDENCE_WORDS = """
`{default}` takes only as much of the learned forecast as past outcomes bear out against no change. {what} Where it took
nothing, the forecast **is** no change and so is its error: that is caution, not skill. {cost}
"""
WORLDS_WORDS = """
Simulated prices of {seeds} seeds each, with the ninth expert who is 5 % too high: there is nothing to know of a walk; a
stock rises by 10 % a year; drifts change every three years; reverting prices come back by half in 400 days; spikes are
gone within weeks. The share and the price of evidence in the rule were chosen here. Given are the mean ratios.
"""
INTERVAL_WORDS = """
Around no change, by what was known on the day, after the first {burn_in} days. In brackets that of the Gaussian
interval, z sd sqrt(h), sd of the last 250 returns. The worst run is of 250 days in a row: at 126 days it has two
independent outcomes, so it is low for everybody. The score is width and misses together (interval score), over the
Gaussian's; below 1 is better.
"""
PEER_WORDS = """
From the same origins, {step} trading days apart, the last whose outcomes have all come; each rival is fitted again at
each of them, on the log price of the last {window} days, and told with its own 95 % interval, as it comes and with one
setting of its documentation: AutoARIMA with the approximate search, AutoETS with additive errors and a damped trend,
AutoTheta held to the dynamic optimised model, Prophet without seasons and with the freest trend it advises
(changepoint_prior_scale 0.5). Prophet has real dates, and Mondays to Fridays to come. Ratios are to no change at those
origins; over all series, geometric means; no change has the Gaussian interval. So few origins seldom tell: WTI is
there twice, and oils move together. CPU seconds are of one fit with its forecast, one thread, its helper programs with
it, two rivals at a time on two cores; a rival had {seconds:g} of them for each series. A fit that failed says no
change.
"""


def prices(results: dict[str, Any]) -> str:
    """Return the section: verdicts first, then what the shipped rule does, and the tables."""
    parts = [
        ["## Forecasts of prices", "", *(f"- {said}" for said in _verdicts(results))],
        _evidence(results).strip().splitlines(),
        ["### Rules that weigh eight experts, every day as origin", "", *_series(results), "", *_rules(results)],
        _own(results),
        RULES_WORDS.format(**_named(results), seed=SEED, cells=_cells(results)).strip().splitlines(),
        ["### Rules on simulated prices", "", *_worlds(results)],
        WORLDS_WORDS.format(seeds=results["rules"]["seeds"]).strip().splitlines(),
        ["### Intervals", "", *_intervals(results)],
        INTERVAL_WORDS.format(**_named(results)).strip().splitlines(),
        _volatility(results),
        ["### Against statsforecast and Prophet", "", *_peers(results)],
        PEER_WORDS.format(**{key: results["peers"][key] for key in ("step", "window", "seconds")}).strip().splitlines(),
        ["### What it costs", "", *_costs(results["cost"])],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _named(results: dict[str, Any]) -> dict[str, Any]:
    return {key: results["rules"][key] for key in ("default", "unproven", "burn_in")}


def _cells(results: dict[str, Any]) -> int:
    return int(results["rules"]["summary"]["eight"][results["rules"]["default"]]["cells"])


def _cell_of(results: dict[str, Any], name: str, at: int) -> str:
    return f"{results['series'][name]['words']} at {results['horizons'][at]} days"


def _verdicts(results: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each target: the numbers, and whether they meet it."""
    rules, targets = results["rules"], results["targets"]
    default, tables = rules["default"], rules["summary"]["eight"]
    mine = {key: cell for key, cell in _walk(rules["real"], default)}
    yield _at_most(results, {k: c[0] for k, c in mine.items() if k[1] == 0}, targets["relative_mae_week"], "One week")
    yield _at_most(results, {k: c[0] for k, c in mine.items()}, targets["relative_mae_any"], "Every horizon")
    worse = [_cell_of(results, *key) for key, cell in mine.items() if cell[1] is not None and cell[1] > 1]
    yield (
        f"Surely worse than no change in {len(worse)} of {len(mine)} cells: the target of {targets['surely_worse']} is "
        f"{_met(len(worse) <= targets['surely_worse'])}{_list(worse)}."
    )
    means = {rule: tables[rule]["mean"] for rule in (default, EQUAL, SEED, rules["unproven"])}
    yield (
        f"On average {means[default]:.4f}, equal weights {means[EQUAL]:.4f}, the seed's formula {means[SEED]:.4f} "
        f"(`{rules['unproven']}` {means[rules['unproven']]:.4f}): better than both is "
        f"{_met(means[default] < min(means[EQUAL], means[SEED]))}."
    )
    better = [f"{name} {one['mean']:.4f}" for name, one in tables.items() if one["mean"] < means[default]]
    yield f"On average better than it: {', '.join(better) or 'none'}."
    yield from _interval_verdicts(results)
    yield from _cost_verdicts(results)
    yield from _peer_verdicts(results)


def _walk(tables: Mapping[str, Any], name: str) -> Iterator[tuple[tuple[str, int], Any]]:
    """Yield every cell of one forecaster by series and horizon's place."""
    for series, table in tables.items():
        for at, cell in enumerate(table[name]):
            yield (series, at), cell


def _at_most(results: dict[str, Any], found: Mapping[tuple[str, int], float], target: float, what: str) -> str:
    worst = max(found, key=lambda key: found[key])
    over = [f"{_cell_of(results, *key)} {value:.4f}" for key, value in found.items() if value > target]
    return (
        f"{what}: the ensemble's error is at most {found[worst]:.4f} times no change's, on {len(results['series'])} "
        f"series; at most {target:.2f} is {_met(not over)}{_list(over)}."
    )


def _interval_verdicts(results: dict[str, Any]) -> Iterator[str]:
    low, high = results["targets"]["coverage_95"]
    real = results["intervals"]["real"]
    ours = dict(_walk({name: table["taught"] for name, table in real.items()}, WIDE))
    rival = dict(_walk({name: table["gaussian"] for name, table in real.items()}, WIDE))
    out = {key: cell["coverage"] for key, cell in ours.items() if not low <= cell["coverage"] <= high}
    rivals_out = sum(not low <= cell["coverage"] <= high for cell in rival.values())
    told = [f"{_cell_of(results, *key)} {share:.2%}" for key, share in out.items()]
    yield (
        f"The 95 % interval held {low:.0%} to {high:.0%} in the long run in {len(ours) - len(out)} of {len(ours)} "
        f"cells (the Gaussian one in {len(rival) - rivals_out}): {_met(not out)}{_list(told)}."
    )
    behind = [key for key, cell in ours.items() if not (cell["worst_250"] or 0) > (rival[key]["worst_250"] or 0)]
    told = [f"{_cell_of(results, *k)} {ours[k]['worst_250']:.1%} to {rival[k]['worst_250']:.1%}" for k in behind]
    yield (
        f"Its worst 250 days were better than the Gaussian's in {len(ours) - len(behind)} of {len(ours)} cells: "
        f"{_met(not behind)}{_list(told)}."
    )
    wide = [f"{_cell_of(results, *k)} {c['score_ratio']:.3f}" for k, c in ours.items() if c["score_ratio"] > 1]
    yield f"Its interval score is above the Gaussian's in {len(wide)} of {len(ours)} cells{_list(wide)}."


def _cost_verdicts(results: dict[str, Any]) -> Iterator[str]:
    cost, targets = results["cost"], results["targets"]
    spent = max(cost["cpu_seconds"])
    yield (
        f"A full backtest ({_sizes(cost)}) takes {spent:.2f} s of CPU, the greatest of {len(cost['cpu_seconds'])} "
        f"times: under {targets['cpu_seconds']:g} is {_met(spent < targets['cpu_seconds'])}."
    )
    if cost["refits"]:
        name, least = min(cost["refits"].items(), key=lambda pair: float(pair[1]["cpu_seconds"]))
        times = least["cpu_seconds"] / spent
        yield (
            f"{name} refitted at every fourth origin would take {times:,.0f} times as much; at least "
            f"{targets['times_cheaper']:g} is {_met(times >= targets['times_cheaper'])}. Extrapolated: "
            f"{least['fits']:,} fits at the mean of {least['measured_fits']} that were made."
        )


def _peer_verdicts(results: dict[str, Any]) -> Iterator[str]:
    """Yield which rival erred least on average at each horizon, and who did not finish."""
    summary = {one["name"]: one for one in results["peers"]["summary"]}
    own = summary[results["rules"]["default"]]
    names = _rivals(results["peers"])
    # Ratios of fewer origins are not held against ours.
    whole = [name for name in names if summary.get(name, {}).get("origins") == own["origins"]]
    able = {name: summary[name] for name in whole}
    said = []
    for at, days in enumerate(results["horizons"] if able else ()):
        best = min(able, key=lambda name: float(able[name]["ratios"][at]))
        theirs, mine = able[best]["ratios"][at], own["ratios"][at]
        who = (
            "ahead of every rival" if mine < theirs else f"**behind {best}**" if mine > theirs else f"level with {best}"
        )
        said.append(f"{days} days {who} ({mine:.4f} to {theirs:.4f})")
    if said:
        yield f"On average over the same few origins: {'; '.join(said)}."
        better = [f"{name} {one['surely_better']}" for name, one in able.items() if one["surely_better"]]
        worse = [f"{name} {one['surely_worse']}" for name, one in able.items() if one["surely_worse"]]
        yield (
            f"Rivals surely better than no change, in cells of {own['cells']}: {', '.join(better) or 'none'}; surely "
            f"worse: {', '.join(worse) or 'none'}."
        )
    late = [f"{one} on {panel['words']}" for panel in results["peers"]["panels"].values() for one in _unfinished(panel)]
    yield f"Rivals that did not finish in their time: {', '.join(late) or 'none'}."


def _rivals(peers: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(one["name"] for p in peers["panels"].values() for one in p["rows"] if one.get("rival")))


def _unfinished(panel: dict[str, Any]) -> list[str]:
    return [
        one["name"]
        for one in panel["rows"]
        if one.get("rival") and ("failed" in one or one["origins"] < panel["origins"])
    ]


def _evidence(results: dict[str, Any]) -> str:
    """Return in plain words where the shipped rule says no change, and what its caution spared and cost."""
    rules = results["rules"]
    still = [results["series"][name]["words"] for name, shares in rules["moved"].items() if not any(shares)]
    moved = [
        f"{results['series'][name]['words']} on {', '.join(f'{share:.1%}' for share in shares)} of the days"
        for name, shares in rules["moved"].items()
        if any(shares)
    ]
    ahead = ", ".join(map(str, results["horizons"]))
    what = [f"On {_and(still)} that was nothing on any day."] if still else []
    what += [f"It took something of {_and(moved)} (from the nearest horizon on: {ahead} days)."] if moved else []
    return EVIDENCE_WORDS.format(default=rules["default"], what=" ".join(what), cost=_caution(results))


def _caution(results: dict[str, Any]) -> str:
    rules = results["rules"]
    mine, other = (dict(_walk(rules["real"], rules[key])) for key in ("default", "unproven"))
    gaps = {key: mine[key][0] - cell[0] for key, cell in other.items()}
    told = {key: f"{_cell_of(results, *key)} ({other[key][0]:.3f} to {mine[key][0]:.3f})" for key in gaps}
    most, least = max(gaps, key=lambda key: gaps[key]), min(gaps, key=lambda key: gaps[key])
    worse, better = sum(gap < 0 for gap in gaps.values()), sum(gap > 0 for gap in gaps.values())
    said = [f"Without it `{rules['unproven']}` errs more in {worse} of {len(gaps)} cells and less in {better}."]
    said += [f"The most that asking for evidence spared was on {told[least]}."] if worse else []
    said += [f"The most that it gave away was on {told[most]}."] if better else []
    given = [told[key] for key in gaps if _missed(mine[key], other[key])]
    return " ".join([*said, f"Surely there and given away: {_and(given) or 'nothing'}."])


def _missed(mine: Sequence[Any], other: Sequence[Any]) -> bool:
    return other[2] is not None and other[2] < 1 and other[0] < mine[0]


def _series(results: dict[str, Any]) -> list[str]:
    told = [f"{s['words']} ({s['days']:,} days, {' to '.join(s['from_to'])})" for s in results["series"].values()]
    lines = [f"Series: {'; '.join(told)}."]
    if results["missing"]:
        lines.append(f"**Not measured**: {'; '.join(f'{name}: {why}' for name, why in results['missing'].items())}.")
    return lines


def _rules(results: dict[str, Any]) -> list[str]:
    eight, biased, trees = (results["rules"]["summary"][key] for key in ("eight", "with_biased", "with_trees"))
    names = ["rule or expert", "mean", "greatest", "greatest at one week", "surely worse", "surely better"]
    lines = header([*names, "mean, + 5 %", "mean, + trees"])
    for name in dict.fromkeys((*eight, *biased, *trees)):
        told = eight.get(name)
        numbers = [f"{told[key]:.4f}" for key in ("mean", "greatest", "greatest_week")] if told else [""] * 3
        sure = [str(told[key]) for key in ("surely_worse", "surely_better")] if told else [""] * 2
        others = [f"{table[name]['mean']:.4f}" if name in table else "" for table in (biased, trees)]
        lines.append(row([name, *numbers, *sure, *others]))
    return lines


def _own(results: dict[str, Any]) -> list[str]:
    rules = results["rules"]
    lines = header(["series", "rule", *(f"{days} days" for days in results["horizons"])])
    for series, table in rules["real"].items():
        for rule in (rules["default"], rules["unproven"], EQUAL, SEED):
            lines.append(row([results["series"][series]["words"], rule, *(_ratio(cell) for cell in table[rule])]))
    return lines


def _worlds(results: dict[str, Any]) -> list[str]:
    rules = results["rules"]
    lines = header(["world", "rule", *(f"{days} days" for days in results["horizons"])])
    for world, table in rules["simulated"].items():
        for rule in (rules["default"], rules["unproven"], EQUAL, SEED):
            lines.append(row([world, rule, *(f"{ratio:.4f}" for ratio in table[rule][0])]))
    return lines


def _intervals(results: dict[str, Any]) -> list[str]:
    names = ["series", "days", "50 % held", "80 % held", "95 % held", "95 %, worst 250 days", "95 %, score"]
    lines = header(names)
    for name, table in results["intervals"]["real"].items():
        for at, days in enumerate(results["horizons"]):
            ours, rival = ({level: table[kind][level][at] for level in table[kind]} for kind in ("taught", "gaussian"))
            held = [_beside(ours[level], rival[level], "coverage") for level in (NARROW, MIDDLE, WIDE)]
            cells = [*held, _beside(ours[WIDE], rival[WIDE], "worst_250"), _scored(ours[WIDE])]
            lines.append(row([results["series"][name]["words"], str(days), *cells]))
    return lines


def _beside(ours: Mapping[str, Any], rival: Mapping[str, Any], key: str) -> str:
    return " ".join(
        shape.format("" if one[key] is None else f"{one[key]:.1%}") for shape, one in (("{}", ours), ("({})", rival))
    )


def _scored(cell: Mapping[str, Any]) -> str:
    return _ratio([cell["score_ratio"], cell["score_low"], cell["score_high"]])


def _volatility(results: dict[str, Any]) -> list[str]:
    """Return in words how the daily volatility did against GARCH."""
    said = []
    for name, one in results["intervals"]["volatility"].items():
        value, low, high = one["ordinary"]["difference"]
        sure = "" if low is None or low <= 0 <= high else " (surely)"
        without = f", {one['mad_days']} mad days left out" if one["mad_days"] else ""
        said.append(f"{results['series'][name]['words']} {value:+.4f}{sure}{without}")
    return [
        "The daily volatility behind the spread is an exponentially weighted one. Its QLIKE less that of GARCH(1,1) "
        f"with Student's t, refitted yearly (above 0: GARCH is better): {'; '.join(said)}."
    ]


def _peers(results: dict[str, Any]) -> list[str]:
    """Return a table over all series, then one for each."""
    peers, days = results["peers"], [f"{days} days" for days in results["horizons"]]
    named = ["forecaster", *days, "95 % held", "surely worse", "surely better", "CPU s a fit", "fits", "failed fits"]
    lines = header(named)
    for one in peers["summary"]:
        cells = [f"{ratio:.3f}" for ratio in one["ratios"]]
        held = ", ".join(f"{share:.0%}" for share in one["covered_95"])
        sure = [f"{one[key]} of {one['cells']}" for key in ("surely_worse", "surely_better")]
        about = (
            [f"{one['cpu_seconds']:.3f}", str(one["origins"]), str(one["failed_fits"])] if "cpu_seconds" in one else []
        )
        versions = " ".join(f"{name} {version}" for name, version in one.get("versions", {}).items())
        called = f"{one['name']} ({versions})" if versions else one["name"]
        lines.append(row([called, *cells, held, *sure, *(about or [""] * 3)]))
    for panel in peers["panels"].values():
        lines += ["", f"{panel['words']}, {panel['origins']} origins, {' to '.join(panel['from_to'])}:", ""]
        lines += _panel(panel, days)
    return lines


def _panel(panel: dict[str, Any], days: Sequence[str]) -> list[str]:
    lines = header(["forecaster", *days, "origins"])
    for one in panel["rows"]:
        if "failed" in one:
            lines.append(row([one["name"], f"failed: {_plain(one['failed'])}", *[""] * len(days)]))
            continue
        cells = [_ratio(cell["ratio"]) + _held(cell["covered_95"]) for cell in one["cells"]]
        done = str(one["origins"]) if one["origins"] == panel["origins"] else f"**{one['origins']} in its time**"
        lines.append(row([one["name"], *cells, done]))
    return lines


def _costs(cost: dict[str, Any]) -> list[str]:
    lines = header(["what", "CPU s", "times ours"])
    ours, spread = max(cost["cpu_seconds"]), [f"{bound(cost['cpu_seconds']):.2f}" for bound in _ENDS]
    lines.append(row([f"full backtest: {_sizes(cost)}", f"{ours:.2f} [{'..'.join(spread)}]", "1"]))
    trees = cost["trees_cpu_seconds"]
    lines.append(row(["boosted trees for the same origins, refitted yearly", f"{trees:.1f}", f"{trees / ours:.1f}"]))
    for name, one in cost["refits"].items():
        what = f"{name}, {one['fits']:,} fits of {one['cpu_of_a_fit']:.3f} s (extrapolated from {one['measured_fits']})"
        lines.append(row([what, f"{one['cpu_seconds']:,.0f}", f"{one['cpu_seconds'] / ours:,.0f}"]))
    return lines


_ENDS: tuple[Callable[[Sequence[float]], float], ...] = (min, max)


def _sizes(cost: dict[str, Any]) -> str:
    experts, origins, horizons, rules = (cost[key] for key in ("experts", "origins", "horizons", "rules"))
    return f"{experts} experts, {origins:,} daily origins, {horizons} horizons, {rules} rules"


def _ratio(cell: Sequence[Any]) -> str:
    value, low, high = cell[:3]
    told = low is not None and high is not None and (low, high) != (value, value)
    return f"{value:.3f} [{low:.3f}..{high:.3f}]" if told else f"{value:.3f}"


def _held(share: float | None) -> str:
    return "" if share is None else f" {share:.0%}"


def _met(met: bool) -> str:
    return "met" if met else "**missed**"


def _list(found: Sequence[str]) -> str:
    return f" ({'; '.join(found)})" if found else ""


def _and(found: Sequence[str]) -> str:
    return " and ".join([*([", ".join(found[:-1])] if found[:-1] else []), *found[-1:]])


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[-240:]
