"""Implied volatility of European options, many at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, ndtr, ndtri

__all__ = ["implied_volatility"]

FloatArray = NDArray[np.float64]
_STEPS = 64
_TOLERANCE = 4e-16
_LOG_ROOT_TWO_PI = 0.5 * np.log(2.0 * np.pi)


def implied_volatility(
    price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    *,
    rate: ArrayLike = 0.0,
    dividend: ArrayLike = 0.0,
    is_call: ArrayLike = True,
) -> FloatArray:
    """Return the volatility at which the model's price is `price`; the arguments broadcast.

    The time value is solved for on a logarithmic scale (after Jäckel 2015, "Let's be rational"), where Newton's
    method takes a few steps from a start on the right side; a bracket guards every step.

    Parameters
    ----------
    price : array_like
        Observed prices.
    spot, strike, years, rate, dividend, is_call
        As in `risk.options.black_scholes.greeks`.

    Returns
    -------
    ndarray
        Annual volatility; 0 where the price is the intrinsic value to rounding. NaN where there is none: a price
        below the intrinsic value of the forward, or not below the value of the asset to be had (spot for calls,
        strike for puts, discounted), no time left, or NaN in an input. What time value is left of a price deep in
        the money may be lost to rounding; the volatility is then as uncertain as that.

    Examples
    --------
    >>> from risk.options.black_scholes import price
    >>> implied_volatility(price(100.0, 120.0, 0.5, 0.35), 100.0, 120.0, 0.5).round(12).item()
    0.35
    """
    arrays = [np.asarray(values, np.float64) for values in (price, spot, strike, years, rate, dividend)]
    sign = np.where(is_call, 1.0, -1.0)
    value, spots, strikes, time, rates, yields, sign = np.broadcast_arrays(*arrays, sign)
    forward_spot, present_strike = spots * np.exp(-yields * time), strikes * np.exp(-rates * time)
    intrinsic = np.maximum(sign * (forward_spot - present_strike), 0.0)
    time_value = value - intrinsic
    # What is left is an option out of the money whichever side the original was: its price is of its own size.
    scale = np.sqrt(forward_spot * present_strike)
    distance = np.abs(np.log(forward_spot / present_strike))
    ceiling = np.exp(-0.5 * distance)  # the price, over `scale`, that no volatility reaches
    target = time_value / scale
    rounding = 4.0 * np.finfo(float).eps * np.maximum(np.abs(value), intrinsic) / scale
    solvable = (time > 0.0) & (target > rounding) & (target < ceiling)
    flat = (time > 0.0) & (np.abs(target) <= rounding)
    result = np.where(flat, 0.0, np.nan)
    if solvable.any():
        deviation = _deviation(target[solvable], distance[solvable])
        result[solvable] = deviation / np.sqrt(time[solvable])
    return result


def _deviation(target: FloatArray, distance: FloatArray) -> FloatArray:
    """Return s with Black's normalised out-of-the-money price at log-moneyness -`distance` equal to `target`."""
    low, high = np.zeros_like(target), np.full_like(target, np.inf)
    # At s = sqrt(2 |x|) the price has its only inflection: Newton's method is safe from there (Manaster-Koehler).
    deviation = np.sqrt(2.0 * distance)
    at_money = distance < 1e-8
    deviation[at_money] = 2.0 * ndtri(0.5 * (1.0 + target[at_money]))
    goal = np.log(target)
    active = np.arange(target.size)
    for _ in range(_STEPS):
        s, x = deviation[active], distance[active]
        d1, d2 = -x / s + 0.5 * s, -x / s - 0.5 * s
        found = _log_price(d1, d2, x)
        error = found - goal[active]
        low[active] = np.where(error < 0.0, s, low[active])
        high[active] = np.where(error > 0.0, s, high[active])
        # d(log price) / ds = density(d1) exp(-x/2) / price
        slope = np.exp(-0.5 * d1 * d1 - _LOG_ROOT_TWO_PI - 0.5 * x - found)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            step = s - error / slope
        lo, hi = low[active], high[active]
        outside = ~((step > lo) & (step < hi))
        halfway = np.where(np.isinf(hi), 2.0 * s, 0.5 * (lo + hi))
        step = np.where(outside, halfway, step)
        deviation[active] = step
        active = active[np.abs(step - s) > _TOLERANCE * 8.0 * step]
        if not active.size:
            break
    return deviation


def _log_price(d1: FloatArray, d2: FloatArray, distance: FloatArray) -> FloatArray:
    """Return log(exp(-x/2) N(d1) - exp(x/2) N(d2)), in logarithms where both terms are tiny."""
    with np.errstate(divide="ignore"):
        near = np.log(np.exp(-0.5 * distance) * ndtr(d1) - np.exp(0.5 * distance) * ndtr(d2))
    first, second = log_ndtr(d1) - 0.5 * distance, log_ndtr(d2) + 0.5 * distance
    with np.errstate(divide="ignore", invalid="ignore"):
        far = first + np.log(-np.expm1(second - first))
    return np.asarray(np.where(d1 > -5.0, near, far), np.float64)
