"""European options with a continuous dividend yield, many at a time (Black & Scholes 1973, Merton 1973)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from trader.core.errors import DataError

__all__ = ["Greeks", "greeks", "price"]

FloatArray = NDArray[np.float64]
_BLOCK = 2048  # options whose intermediate results stay in the first cache
_DENSITY = 1.0 / np.sqrt(2.0 * np.pi)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Greeks:
    """Prices and their derivatives, every field of the shape that the inputs broadcast to.

    Parameters
    ----------
    price : ndarray
        Per unit of the underlying.
    delta, gamma : ndarray
        First and second derivative by the spot price.
    vega, volga : ndarray
        First and second derivative by volatility, which is a fraction a year: divide vega by 100 for a point.
    theta : ndarray
        Derivative by the passing of time, per year, mostly negative.
    rho : ndarray
        Derivative by the interest rate, which is a fraction: divide by 10,000 for a basis point.
    vanna : ndarray
        Derivative by spot and volatility.
    """

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    rho: FloatArray
    vanna: FloatArray
    volga: FloatArray


def greeks(
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    volatility: ArrayLike,
    *,
    rate: ArrayLike = 0.0,
    dividend: ArrayLike = 0.0,
    is_call: ArrayLike = True,
) -> Greeks:
    """Return prices and sensitivities; the arguments broadcast.

    Parameters
    ----------
    spot, strike : array_like
        Positive prices.
    years : array_like
        To expiry, at or above 0.
    volatility : array_like
        Annual, at or above 0.
    rate, dividend : array_like, default=0
        Continuously compounded, a year.
    is_call : array_like of bool, default=True
        A put where False.

    Returns
    -------
    Greeks
        NaN in an input gives NaN. Without time or volatility left the price is the discounted intrinsic value of the
        forward, delta and rho are those of exercise for certain (half, exactly at the money), and gamma, vega, vanna
        and volga are 0.

    Raises
    ------
    DataError
        If a price is not positive, or a time or volatility negative.

    Examples
    --------
    Hull, *Options, Futures, and Other Derivatives*, example 15.6:

    >>> found = greeks(42.0, 40.0, 0.5, 0.2, rate=0.1, is_call=[True, False])
    >>> found.price.round(2).tolist()
    [4.76, 0.81]
    """
    _check(spot=spot, strike=strike, positive=True)
    _check(years=years, volatility=volatility, positive=False)
    shape = np.broadcast_shapes(*map(np.shape, (spot, strike, years, volatility, rate, dividend, is_call)))
    flat = [
        np.broadcast_to(np.asarray(values, np.float64), shape).reshape(-1)
        for values in (spot, strike, years, volatility, rate, dividend, np.where(is_call, 1.0, -1.0))
    ]
    out = np.empty((len(dataclasses.fields(Greeks)), flat[0].size))
    # A vanishing time or volatility is treated after the division by it.
    with np.errstate(divide="ignore", invalid="ignore"):
        for first in range(0, flat[0].size, _BLOCK):
            block = slice(first, first + _BLOCK)
            _write([values[block] for values in flat], out[:, block])
    return Greeks(*(row.reshape(shape) for row in out))


def price(
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    volatility: ArrayLike,
    *,
    rate: ArrayLike = 0.0,
    dividend: ArrayLike = 0.0,
    is_call: ArrayLike = True,
) -> FloatArray:
    """Return prices alone; arguments, limits and errors as in `greeks`."""
    return greeks(spot, strike, years, volatility, rate=rate, dividend=dividend, is_call=is_call).price


def _write(inputs: Sequence[FloatArray], out: FloatArray) -> None:
    """Write the fields of `Greeks` into the rows of `out`; the last input is 1 for calls and -1 for puts."""
    spot, strike, years, volatility, rate, dividend, sign = inputs
    root = np.sqrt(years)
    deviation = volatility * root
    forward_spot = spot * np.exp(-dividend * years)
    present_strike = strike * np.exp(-rate * years)
    moneyness = np.log(forward_spot / present_strike)
    d1 = moneyness / deviation + 0.5 * deviation
    certain = deviation == 0.0
    any_certain = bool(certain.any())
    if any_certain:
        d1 = np.where(certain, np.where(moneyness == 0.0, 0.0, np.copysign(np.inf, moneyness)), d1)
    d2 = d1 - deviation
    in_money, exercised = ndtr(sign * d1), ndtr(sign * d2)
    signed_spot = sign * forward_spot * in_money
    signed_strike = sign * present_strike * exercised
    density = _DENSITY * np.exp(-0.5 * d1 * d1)
    weighted = forward_spot * density
    vega = weighted * root
    out[0] = signed_spot - signed_strike
    out[1] = signed_spot / spot
    out[2] = weighted / (spot * spot * deviation)
    out[3] = vega
    out[4] = dividend * signed_spot - rate * signed_strike - 0.5 * weighted * volatility / root
    out[5] = signed_strike * years
    out[6] = -weighted / spot * d2 / volatility
    out[7] = vega * d1 * d2 / volatility
    if any_certain:
        out[4] = np.where(certain, dividend * signed_spot - rate * signed_strike, out[4])
        for row in (2, 3, 6, 7):
            out[row] = np.where(certain, 0.0, out[row])


def _check(*, positive: bool, **named: ArrayLike) -> None:
    for name, values in named.items():
        array = np.asarray(values, np.float64)
        wrong = array <= 0.0 if positive else array < 0.0
        if wrong.any():
            allowed = "positive numbers" if positive else "numbers of 0 or more"
            raise DataError(f"{name} holds {array[wrong].flat[0]:g}; {allowed} are needed")
        if np.isinf(array).any():
            raise DataError(f"{name} holds inf; finite numbers are needed")
