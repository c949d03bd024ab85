"""Rates of groups of which some entities are still open: Beta posteriors given the delay, and their parents."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, betaln, expit, logit

from foregate.metrics.estimate import Estimate, Floats, Integers, bracketed, checked_level
from foregate.modeling.cohorts import Cohorts

# Strengths of a prior that are thought equally likely on the log scale: worth 1 to 1,000 of the rarer outcome.
STRENGTHS = np.exp(np.linspace(0.0, math.log(1000.0), 25))
LEAST = 1e-6
# Ages whose completeness differs by less than this on the logit scale are one: their mean age stands for them.
ALIKE = 0.1
ROUNDS = 100


class Standing(NamedTuple):
    """What is known of groups: `converted` [groups], and cells of open entities, ordered by `group`.

    Each cell holds so many open `entities` of a `group`, which entered `age` days before the origin. They are fractions
    where the evidence is weighted.
    """

    converted: Floats
    group: Integers
    age: Integers
    entities: Floats

    def times(self, factor: float) -> Standing:
        """Return the same standing with every entity counted so often."""
        return Standing(self.converted * factor, self.group, self.age, self.entities * factor)


def standing_of(cohorts: Cohorts, shown: Floats, half_life: float = math.inf) -> Standing:
    """Return the standing of each series, with every entity weighted 2^(-age / half_life).

    `shown` [limit + 1] is the share of conversions shown by each age; it decides which ages may share a cell.

    >>> standing_of(Cohorts([0, 1, 1], [0, 2, 2], [1, -1, -1], 2, [0, 0]), np.array([0.5, 0.8, 1.0]))[:4]
    (array([1., 0.]), array([1]), array([0]), array([2.]))
    """
    ages = np.minimum(cohorts.ages, shown.size - 1)
    weights = np.exp2(-ages / half_life)
    there = cohorts.is_converted
    converted = np.bincount(cohorts.series[there], weights[there], minlength=cohorts.n_series)
    place = np.round(logit(np.clip(shown, 1e-4, 1 - 1e-4)) / ALIKE).astype(np.int64)
    place -= place.min()
    wide = int(place.max()) + 1
    cell = cohorts.series[~there] * wide + place[ages[~there]]
    cells, at = np.unique(cell, return_inverse=True)
    count = np.bincount(at, weights[~there], minlength=cells.size)
    # An entity of a time so long past that its weight is no number any more still needs an age.
    summed = np.bincount(at, ages[~there] * weights[~there], minlength=cells.size)
    age = np.round(summed / np.maximum(count, 1e-300)).astype(np.int64)
    return Standing(np.asarray(converted, np.float64), cells // wide, age, np.asarray(count, np.float64))


class Betas(NamedTuple):
    """Beta distributions of rates, `hits` and `misses` of each [draws, groups]; the mean is hits / (hits + misses)."""

    hits: Floats
    misses: Floats


def matched(prior: Betas, known: Standing, shown: Floats) -> Betas:
    """Return the posterior of each group's rate for each delay curve [draws, groups], as the Beta that is like it.

    `prior` is [draws or 1, groups], `shown` [draws, limit + 1]. The likelihood of a rate p is p for a conversion and
    1 - p F(age) for an entity still open (Boag 1949; Chapelle 2014, in cohorts): young cohorts are neither failures nor
    left out. The Beta has the same mode and curvature as the posterior on the logit scale; when all is mature it is
    the posterior.

    >>> known = Standing(np.array([30.0]), np.array([0, 0]), np.array([0, 9]), np.array([20.0, 50.0]))
    >>> even = Betas(np.array([[1.0]]), np.array([[1.0]]))
    >>> [matched(even, known, np.array([[share] + [1.0] * 9])).misses.round(1).tolist() for share in (1.0, 0.0)]
    [[[71.0]], [[51.0]]]
    """
    seen = shown[:, known.age]
    hits = prior.hits + known.converted
    odds = hits / (prior.misses + _by_group(known, known.entities * seen))
    # The score times the rate is convex and falls in the odds: from below, Newton's steps never overshoot.
    for _ in range(ROUNDS):
        open_yet = 1 / (1 + odds[:, known.group] * (1 - seen))
        part = known.entities * seen * open_yet
        gap = hits - odds * (prior.misses + _by_group(known, part))
        step = gap / (prior.misses + _by_group(known, part * open_yet))
        odds = odds + np.maximum(step, 0.0)
        if float(np.max(step / odds, initial=0.0)) < 1e-9:
            break
    rate, rest = odds / (1 + odds), 1 / (1 + odds)
    later = odds[:, known.group] * (1 - seen)
    gone = later / (1 + later) - rate[:, known.group]
    curvature = hits * rest**2 + prior.misses * rate**2 + _by_group(known, known.entities * gone**2)
    return Betas(np.maximum(curvature / rest, LEAST), np.maximum(curvature / rate, LEAST))


def _by_group(known: Standing, values: Floats) -> Floats:
    """Return sums over the cells of each group: [draws, cells] to [draws, groups]."""
    summed = np.zeros((values.shape[0], known.converted.size))
    if known.group.size:
        groups, first = np.unique(known.group, return_index=True)
        summed[:, groups] = np.add.reduceat(values, first, axis=1)
    return summed


def evidence_of(known: Standing, shown: Floats) -> Betas:
    """Return what the groups' own data say: conversions and failures of as many mature entities as they are worth."""
    even = Betas(np.full((1, known.converted.size), 0.5), np.full((1, known.converted.size), 0.5))
    found = matched(even, known, shown)
    return Betas(np.maximum(found.hits - 0.5, 0.0), np.maximum(found.misses - 0.5, 0.0))


def strength_of(found: Betas, parent: Integers) -> float:
    """Return how many entities a parent's rate is worth to a child, from how much children of one parent differ.

    `found` [1, children] as `evidence_of` gives it. The posterior mean on the log scale under Beta-binomial counts
    around unknown parents, between what holds 1 and 1,000 of the rarer outcome (2 to 2,000 entities at a rate of 0.5):
    empirical Bayes that stays away from "all alike" when children are few. Without evidence it is the middle, 32 of
    the rarer outcome. Skellam 1948; Efron & Morris 1973.

    >>> apart = Betas(np.array([[80.0, 20.0, 50.0, 5.0]]), np.array([[20.0, 80.0, 50.0, 95.0]]))
    >>> alike = Betas(np.array([[500.0, 510.0, 490.0, 505.0]]), np.array([[500.0, 490.0, 510.0, 495.0]]))
    >>> strength_of(apart, np.zeros(4, int)) < 10, strength_of(alike, np.zeros(4, int)) > 500
    (True, True)
    """
    hits, misses = found.hits[0][:, None, None], found.misses[0][:, None, None]
    total = float(hits.sum() + misses.sum())
    centre = (float(hits.sum()) + 0.5) / (total + 1)
    means = expit(np.linspace(logit(centre) - 3, logit(centre) + 3, 41))
    strengths = STRENGTHS / min(centre, 1 - centre)
    a, b = strengths[:, None] * means, strengths[:, None] * (1 - means)
    logs = betaln(a + hits, b + misses) - betaln(a, b)
    parents = np.zeros((int(parent.max()) + 1, *a.shape))
    np.add.at(parents, parent, logs)
    top = parents.max(axis=2, keepdims=True)
    by_strength = (np.log(np.exp(parents - top).mean(axis=2)) + top[:, :, 0]).sum(axis=0)
    weights = np.exp(by_strength - by_strength.max())
    return float(math.exp(float(weights @ np.log(strengths)) / float(weights.sum())))


def _told_to(parent: Integers, found: Betas, strength: float) -> Betas:
    """Return the evidence on the parents' rates [draws, parents]: a child says no more than its strength allows."""
    rows = found.hits + found.misses
    share = (strength + 1) / (strength + rows)
    belongs = np.equal.outer(parent, np.arange(int(parent.max()) + 1)).astype(np.float64)
    return Betas((found.hits * share) @ belongs, (found.misses * share) @ belongs)


class Strengths(NamedTuple):
    """How many entities the parent's rate is worth: a channel's to its `series`, the total's to a `channel`."""

    series: float
    channel: float


def strengths_of(known: Standing, channel: Integers, shown: Floats) -> Strengths:
    """Return both strengths under the expected delay, `shown` [1, limit + 1]."""
    found = evidence_of(known, shown)
    series = strength_of(found, channel)
    above = _told_to(channel, found, series)
    return Strengths(series, strength_of(above, np.zeros(above.hits.shape[1], np.int64)))


Pick = Callable[[Floats, Floats], Floats]


def mean_of(hits: Floats, misses: Floats) -> Floats:
    """Return the mean of Betas, in (0, 1).

    >>> mean_of(np.array([1.0]), np.array([3.0]))
    array([0.25])
    """
    return hits / (hits + misses)


class Family(NamedTuple):
    """Rates of `channels` [draws, channels], and of series given them, as Betas [draws, series]."""

    channels: Floats
    series: Betas


def family_of(known: Standing, channel: Integers, strengths: Strengths, shown: Floats, pick: Pick) -> Family:
    """Return the rates, from the total over channels down to series, each shrunk to its parent.

    `pick` takes hits and misses of Betas to rates: a generator's `beta` for joint draws, in which the error of a
    channel or of the total is shared by all below it, or `mean_of` for the expected rates. A child's posterior mean
    lies between what its own data say and its parent's rate.
    """
    found = evidence_of(known, shown)
    above = _told_to(channel, found, strengths.series)
    top = _told_to(np.zeros(above.hits.shape[1], np.int64), above, strengths.channel)
    # Jeffreys' half hit and half miss stand against all that is known, so they weigh as little as that does here.
    weight = (1 + top.hits + top.misses) / (
        1 + found.hits.sum(axis=1, keepdims=True) + found.misses.sum(axis=1, keepdims=True)
    )
    total = pick(top.hits + weight / 2, top.misses + weight / 2)
    held = _prior(total, strengths.channel)
    channels = pick(held.hits + above.hits, held.misses + above.misses)
    return Family(channels, matched(_prior(channels[:, channel], strengths.series), known, shown))


def _prior(rates: Floats, strength: float) -> Betas:
    return Betas(np.maximum(strength * rates, LEAST), np.maximum(strength * (1 - rates), LEAST))


def mixed(value: Floats, found: Betas, rows: Integers, level: float = 0.95) -> list[Estimate]:
    """Return an estimate for each group [groups]: the value, and the interval of a mixture of Betas [draws, groups].

    The interval is that of the Beta with the mixture's mean and variance, so it holds both what the group's counts
    leave open and what the draws differ by. ValueError for a level outside (0, 1).

    >>> one = Betas(np.array([[30.0], [40.0]]), np.array([[70.0], [60.0]]))
    >>> [round(float(x), 2) for x in mixed(np.array([0.35]), one, np.array([98]))[0][:3]]
    [0.35, 0.22, 0.49]
    """
    tail = (1 - checked_level(level)) / 2
    rows_each = found.hits + found.misses
    means = found.hits / rows_each
    spread = np.mean(means * (1 - means) / (rows_each + 1), axis=0) + np.var(means, axis=0)
    middle = means.mean(axis=0)
    size = np.maximum(middle * (1 - middle) / np.maximum(spread, 1e-300) - 1, LEAST)
    hits, misses = np.maximum(middle * size, LEAST), np.maximum((1 - middle) * size, LEAST)
    low, high = betaincinv(hits, misses, tail), betaincinv(hits, misses, 1 - tail)
    return [bracketed(*one, level) for one in zip(value, low, high, rows, strict=True)]
