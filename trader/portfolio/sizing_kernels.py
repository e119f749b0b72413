"""Compiled steps from scores to target weights; `trader.portfolio.sizing` states the rules.

Loops stand where array expressions could: those make numba compile its broadcasting, which takes seconds.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "SizingLimits",
    "diversification_left",
    "fit_limits",
    "risk_multiplier",
    "standardise",
    "target_weights",
    "throttle",
]

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

MAX_STANDARD_SCORE = 3.0
"""Standardised scores are cut here, lest one outlier takes the whole portfolio."""

VOLATILITY_FLOOR = 0.1
"""Share of the mean volatility below which none is believed: a price that hardly moves is stale, not safe."""


class SizingLimits(NamedTuple):
    """What a target must keep to, in weights; `target_variance` is per bar, `tilt` a share of gross.

    Above `usual_correlation` the target variance is multiplied by `diversification_left` to `correlation_scaling`.
    """

    target_variance: float
    max_weight: float
    max_gross: float
    max_net: float
    max_turnover: float
    band: float
    tilt: float
    long_only: bool
    correlation_scaling: float
    usual_correlation: float


@njit(cache=True)
def standardise(score: FloatArray, active: Mask) -> FloatArray:
    """Return scores less their mean over their deviation across active names, cut at ±3; 0 elsewhere.

    A single active name keeps its score, which has the unit already; equal scores say nothing and become 0.
    """
    standard = np.zeros(score.size)
    count, total = 0, 0.0
    for i in range(score.size):
        if active[i]:
            count += 1
            total += score[i]
    if count == 0:
        return standard
    mean = total / count if count > 1 else 0.0
    square_sum = 0.0
    for i in range(score.size):
        if active[i]:
            square_sum += (score[i] - mean) ** 2
    deviation = np.sqrt(square_sum / count) if count > 1 else 1.0
    if deviation <= 1e-12 * abs(mean):
        return standard
    for i in range(score.size):
        if active[i]:
            standard[i] = min(max((score[i] - mean) / deviation, -MAX_STANDARD_SCORE), MAX_STANDARD_SCORE)
    return standard


@njit(cache=True)
def shape_of(standard: FloatArray, volatility: FloatArray, active: Mask, tilt: float, long_only: bool) -> FloatArray:
    """Return weights of gross 1 at most: `tilt` in equal parts, the rest in proportion to score over volatility."""
    shape = np.zeros(standard.size)
    count, volatility_sum = 0, 0.0
    for i in range(standard.size):
        if active[i]:
            count += 1
            volatility_sum += volatility[i]
    if count == 0:
        return shape
    floor = VOLATILITY_FLOOR * volatility_sum / count
    gross = 0.0
    for i in range(standard.size):
        if active[i]:
            shape[i] = standard[i] / max(volatility[i], floor)
            gross += abs(shape[i])
    for i in range(standard.size):
        if active[i]:
            scored = shape[i] / gross if gross > 0.0 else 0.0
            shape[i] = tilt / count + (1.0 - tilt) * scored
            if long_only:
                shape[i] = max(shape[i], 0.0)
    return shape


@njit(cache=True)
def risk_multiplier(
    shape: FloatArray, held: FloatArray, volatility: FloatArray, co_moment: FloatArray, target_variance: float
) -> float:
    """Return k ≥ 0 for which `held + k * shape` has the target variance per bar, or comes nearest to it.

    Variances are taken with covariance `volatility_i volatility_j C_ij / sqrt(C_ii C_jj)`; a held name whose
    risk is unknown counts as riskless.
    """
    n = shape.size
    a, b = np.zeros(n), np.zeros(n)
    for i in range(n):
        if np.isfinite(volatility[i]) and co_moment[i, i] > 0.0:
            unit = volatility[i] / np.sqrt(co_moment[i, i])
            a[i], b[i] = shape[i] * unit, held[i] * unit
    shape_variance, cross, held_variance = 0.0, 0.0, 0.0
    for i in range(n):
        row_shape, row_held = 0.0, 0.0
        for j in range(n):
            row_shape += co_moment[i, j] * a[j]
            row_held += co_moment[i, j] * b[j]
        shape_variance += a[i] * row_shape
        cross += a[i] * row_held
        held_variance += b[i] * row_held
    if shape_variance <= 0.0:
        return 1.0
    discriminant = cross * cross - shape_variance * (held_variance - target_variance)
    return max((math.sqrt(max(discriminant, 0.0)) - cross) / shape_variance, 0.0)


@njit(cache=True)
def diversification_left(co_moment: FloatArray, active: Mask, usual: float) -> float:
    """Return the variance of equal risks in the active names at the usual mean correlation over that now, 1 at most.

    1 as well where fewer than two names have a correlation.
    """
    count, total = 0, 0.0
    for i in range(active.size):
        if active[i] and co_moment[i, i] > 0.0:
            count += 1
            total += 1.0
            for j in range(i):
                if active[j] and co_moment[j, j] > 0.0:
                    total += 2.0 * co_moment[i, j] / math.sqrt(co_moment[i, i] * co_moment[j, j])
    if count < 2 or total <= 0.0:
        return 1.0
    return min(count * (1.0 + (count - 1) * usual) / total, 1.0)


@njit(cache=True)
def settle_names(
    target: FloatArray, current: FloatArray, active: Mask, max_weight: float, band: float, long_only: bool
) -> Mask:
    """Cut each name to its limits and leave small differences alone, in place; return which names stay put."""
    fixed = np.zeros(target.size, np.bool_)
    for i in range(target.size):
        lowest = 0.0 if long_only else -max_weight
        target[i] = min(max(target[i], lowest), max_weight)
        allowed = lowest <= current[i] <= max_weight
        near = abs(target[i] - current[i]) < band and target[i] != 0.0
        if allowed and (near or not active[i]):
            target[i] = current[i]
            fixed[i] = True
    return fixed


@njit(cache=True)
def fit_limits(target: FloatArray, fixed: Mask, max_gross: float, max_net: float) -> None:
    """Scale what may move towards zero until gross and net fit, in place; if that cannot do, scale everything."""
    gross_fixed, gross_free, net_fixed, net_free = 0.0, 0.0, 0.0, 0.0
    for i in range(target.size):
        if fixed[i]:
            gross_fixed += abs(target[i])
            net_fixed += target[i]
        else:
            gross_free += abs(target[i])
            net_free += target[i]
    if gross_fixed <= max_gross and abs(net_fixed) <= max_net:
        factor = 1.0
        if gross_fixed + gross_free > max_gross:
            factor = (max_gross - gross_fixed) / gross_free
        if abs(net_fixed + factor * net_free) > max_net:
            room = max_net - net_fixed if net_free > 0.0 else max_net + net_fixed
            factor = min(factor, room / abs(net_free))
        for i in range(target.size):
            if not fixed[i]:
                target[i] *= factor
    else:
        gross, net = gross_fixed + gross_free, abs(net_fixed + net_free)
        factor = 1.0
        if gross > max_gross:
            factor = max_gross / gross
        if net * factor > max_net:
            factor = max_net / net
        for i in range(target.size):
            target[i] *= factor


@njit(cache=True)
def throttle(target: FloatArray, current: FloatArray, max_turnover: float) -> None:
    """Go only so far from `current` towards `target` as turnover allows, in place."""
    turnover = 0.0
    for i in range(target.size):
        turnover += abs(target[i] - current[i])
    if turnover > max_turnover:
        share = max_turnover / turnover
        for i in range(target.size):
            target[i] = current[i] + share * (target[i] - current[i])


@njit(cache=True)
def target_weights(
    score: FloatArray,
    prices: FloatArray,
    current: FloatArray,
    volatility: FloatArray,
    co_moment: FloatArray,
    limits: SizingLimits,
    target: FloatArray,
) -> None:
    """Write target weights, shape (n_symbols,)."""
    n = score.size
    active = np.zeros(n, np.bool_)
    held = np.zeros(n)
    for i in range(n):
        active[i] = np.isfinite(score[i]) and np.isfinite(prices[i]) and volatility[i] > 0.0
        if not active[i]:
            held[i] = current[i]
    shape = shape_of(standardise(score, active), volatility, active, limits.tilt, limits.long_only)
    target_variance = limits.target_variance
    if limits.correlation_scaling > 0.0:
        left = diversification_left(co_moment, active, limits.usual_correlation)
        target_variance *= left**limits.correlation_scaling
    multiplier = risk_multiplier(shape, held, volatility, co_moment, target_variance)
    for i in range(n):
        target[i] = held[i] + multiplier * shape[i]
    fixed = settle_names(target, current, active, limits.max_weight, limits.band, limits.long_only)
    fit_limits(target, fixed, limits.max_gross, limits.max_net)
    throttle(target, current, limits.max_turnover)
