r"""What an execution costs: half the spread, market impact and commission, each a closed form.

A market order of quantity :math:`q` pays, relative to the price it meets,

.. math:: \frac{\text{spread}}{2\,\text{price}} + c\,\sigma\sqrt{q/V},

with :math:`\sigma` the daily volatility and :math:`V` the daily volume of the name (the square-root law).

References
----------
N. Torre, *BARRA Market Impact Model Handbook*, 1997.
R. Almgren, C. Thum, E. Hauptmann, H. Li, "Direct Estimation of Equity Market Impact", *Risk*, July 2005
(who measure an exponent of 0.6 instead of 0.5).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["MAX_SLIPPAGE", "commission_due", "half_spread", "square_root_impact"]

MAX_SLIPPAGE = 0.5
"""Bound of spread and impact together, relative to the price: beyond it the law means nothing."""


@njit(cache=True)
def half_spread(quoted: float, price: float, assumed: float) -> float:
    """Return half the quoted spread (price units) relative to the price; `assumed` if none is quoted (NaN).

    >>> half_spread(0.04, 100.0, 0.0005)
    0.0002
    """
    if np.isfinite(quoted) and quoted >= 0.0:
        return 0.5 * quoted / price
    return assumed


@njit(cache=True)
def square_root_impact(quantity: float, daily_volume: float, daily_volatility: float, coefficient: float) -> float:
    """Return the relative price move that trading `quantity` of `daily_volume` makes; 0 without volume.

    >>> square_root_impact(100.0, 10_000.0, 0.02, 0.5)
    0.001
    """
    if daily_volume <= 0.0:
        return 0.0
    return coefficient * daily_volatility * math.sqrt(quantity / daily_volume)


@njit(cache=True)
def commission_due(order_value: float, rate: float, minimum: float, charged: float) -> float:
    """Return what is still to be charged for an order of which `order_value` has been executed in all.

    The minimum is per order: the first fill of an order pays at least that.

    >>> commission_due(10_000.0, 0.0005, 1.0, 1.0)
    4.0
    """
    return max(max(order_value * rate, minimum) - charged, 0.0)
