"""The page's section on false alarms, and what they cost in days until a fall is found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.table import header, row

ALARMS = """
Simulated: a Poisson count of leads, 93 a day in the mean; conversions at the promised rate within 43 days, as late as
an exponential of which nine tenths come by then; a best tenth of each list at {tenth} times the rate. Healthy means
that the promise and its delay are exactly right: no season, no month better than another, no slower conversions. An
alert that a worse one mutes is not counted. Days are counted from the release, its own day as the first; "later" is
beyond the runs, which go on for 60 days where conversion halves or ends and for 120 where it does not. Not simulated,
because they read something else: {others}.

The CUSUMs are Page's (1954) for a halved Poisson mean, begun again at 0 after an alarm. They are given what flatters
them: the fall they are made for, and thresholds fitted to the false alarms of these same years; only the first has the
shipped rule's. The daily one knows the delay as well as Foregate does.
"""


def alarms(results: dict[str, Any]) -> str:
    """Return the section: how often a healthy model pages, how soon a fallen one is found, what was lost to peers."""
    arms, targets = results["arms"], results["targets"]
    kept = results["healthy"][0]
    false, alpha = arms["tests"][0]["false"], arms["alpha"]
    pages, allowed = kept["together"]["critical"], targets["pages_a_year"]
    lines = [
        "## Alarms: how often a healthy model pages, and how soon a fallen one",
        "",
        f"- {_range(pages)} false pages in a simulated healthy year ({kept['years']} of them): under {allowed:g} is "
        f"{_kept(pages[2], allowed)}; {_range(kept['together']['warning'])} warnings.",
        *_said_of_others(results["healthy"][1:], allowed),
        *_said_of_halved(results["falls"], targets["median_days"]),
        *_said_of_peers(results["peers"]),
        f"- The e-process of two arms: {_range(false, 100)} % false alarms in {arms['runs']:,} runs looked at on "
        f"{arms['days']} days; at most {100 * alpha:g} % is {_kept(false[2], alpha)}.",
        f"- A z-test looked at as often: {_range(arms['tests'][1]['false'], 100)} % false alarms. One whose bound is "
        f"fitted to just so many looks finds a halved rate in the median after {_middle(arms['tests'][3]['halved'])} "
        f"days, the e-process, which may be looked at for ever, after {_middle(arms['tests'][0]['halved'])}.",
        "",
        *header(["shipped rule", "severity", "false alerts a healthy year [95 %]", "years with any"]),
    ]
    for rule in kept["by_rule"]:
        cells = [f"`{rule['rule']}`", rule["severity"], _range(rule["per_year"]), f"{rule['share_of_years'][0]:.1%}"]
        lines.append(row(cells))
    lines += ["", *header(["rules", "promised", "healthy years", "pages a year [95 %]", "days with a page open"])]
    for one in results["healthy"]:
        name = f"{one['rules']}; {one['name']}"
        cells = [f"{one['rate']:.2%}", str(one["years"]), _range(one["together"]["critical"]), f"{one['paged']:.1%}"]
        lines.append(row([name, *cells]))
    lines += ["", *_falls(results["falls"]), "", *_alarm_peers(results["peers"]), "", *_arm_tests(results)]
    words = ALARMS.format(tenth=results["best_tenth"], others=", ".join(f"`{n}`" for n in results["not_simulated"]))
    return "\n".join(lines) + "\n" + words


def _said_of_others(healthy: Sequence[dict[str, Any]], allowed: float) -> list[str]:
    said = []
    for one in healthy:
        pages = one["together"]["critical"]
        words = f"{one['rules']} rules, {one['name']}, {one['rate']:.2%}: {_range(pages)} pages a year"
        over = "" if pages[2] < allowed else f", **not under {allowed:g}**"
        said.append(f"- {words}{over}; a page is open on {one['paged']:.1%} of the days.")
    return said


def _said_of_peers(peers: Sequence[dict[str, Any]]) -> list[str]:
    """Return in words which peers were sooner than the shipped rule without more false alarms."""
    mine, said = peers[0], []
    for peer in peers[1:]:
        times = {
            f: peer[f]["median"][0] / mine[f]["median"][0] for f in peer if f.startswith("x") and peer[f]["median"][0]
        }
        sooner = [f"{fall} healthy days ({part:.2f} times its days)" for fall, part in times.items() if part < 1]
        if sooner and peer["per_year"][1] <= mine["per_year"][2]:
            said.append(
                f"- Sooner than `conversion_shortfall` at its false alarms: {peer['peer']}: {', '.join(sooner)}."
            )
    return said


def _said_of_halved(falls: Sequence[dict[str, Any]], target: float) -> list[str]:
    """Return in words the best and the worst median of a halved conversion, over volumes and beginnings."""
    halved = [f for f in falls if f["rules"] == "shipped" and f["share"] == 0.5]
    worst = max(halved, key=lambda f: f["any"]["median"][0])
    best = min(halved, key=lambda f: f["any"]["median"][0])
    said = [f"a median of {f['any']['median'][0]:.0f} days ({_began(f)}, {f['rate']:.2%})" for f in (best, worst)]
    middle = worst["any"]["median"]
    return [
        f"- A halved conversion is found in {said[0]} to {said[1]}: under {target:g} is {_kept(middle[2], target)}."
    ]


def _began(fall: dict[str, Any]) -> str:
    return f"after {fall['warmup']} days of healthy leads" if fall["warmup"] else "from the first lead on"


def _falls(falls: Sequence[dict[str, Any]]) -> list[str]:
    head = ["rules", "conversion", "promised", "watched", "median days [95 %]", "90th percentile", "paged in 60 days"]
    lines = header(head)
    for fall in falls:
        found, name = fall["any"], "kept, no fall" if fall["share"] == 1 else fall["name"]
        late = "later" if found["ninety"] is None else f"{found['ninety']:.0f}"
        cells = [fall["rules"], name, f"{fall['rate']:.2%}", _began(fall), _middle(found), late]
        lines.append(row([*cells, f"{_range(found['soon'], 100)} %"]))
    return lines


def _alarm_peers(peers: Sequence[dict[str, Any]]) -> list[str]:
    falls = [name for name in peers[0] if name.startswith("x")]
    names = [f"{name} healthy days: median days" for name in falls]
    lines = header(["what is looked at", "false alarms a year [95 %]", *names])
    for peer in peers:
        cells = []
        for fall in falls:
            mine, its = peers[0][fall]["median"][0], peer[fall]["median"][0]
            times = f" ({its / mine:.2f} times)" if its and mine and peer is not peers[0] else ""
            cells.append(_middle(peer[fall]) + times)
        lines.append(row([peer["peer"], _range(peer["per_year"]), *cells]))
    return lines


def _arm_tests(results: dict[str, Any]) -> list[str]:
    arms = results["arms"]
    when = f"{arms['leads_a_day']} leads an arm and day, {arms['days']} daily looks"
    names = ["false alarms [95 %]", "halved: found", "median days", "without any delay: false, found, days"]
    lines = header([when, *names])
    for late, once in zip(arms["tests"], results["arms_at_once"]["tests"], strict=True):
        cells = [f"{_range(late['false'], 100)} %", f"{late['halved']['soon'][0]:.1%}", _middle(late["halved"])]
        at_once = f"{once['false'][0]:.1%}, {once['halved']['soon'][0]:.1%}, {_middle(once['halved'])}"
        lines.append(row([late["test"], *cells, at_once]))
    return lines


def _range(found: Sequence[float], times: float = 1) -> str:
    value, low, high = (f"{times * x:.{1 if times > 1 or found[0] >= 10 else 2}f}" for x in found)
    return f"{value} [{low}..{high}]"


def _middle(found: dict[str, Any]) -> str:
    days = ["later" if day is None else f"{day:.0f}" for day in found["median"]]
    return days[0] if days[0] == "later" else f"{days[0]} [{days[1]}..{days[2]}]"


def _kept(found: float, target: float) -> str:
    return "met, at the far end of the interval too" if found < target else "**missed** at the far end of the interval"
