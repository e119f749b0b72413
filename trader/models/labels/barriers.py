"""Labels by the first barrier that the price touches, and by whether a bet paid."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.models.labels.kernels import first_touch
from trader.models.targets import ENTRY_DELAY

__all__ = ["BarrierLabels", "MetaLabels", "meta_labels", "triple_barrier"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class BarrierLabels:
    """How the bets of a panel ended; every array has shape (n_slices, n_symbols).

    Parameters
    ----------
    label : ndarray
        1 where the profit barrier came first, -1 where the stop did, and at the vertical barrier 0 or the sign of
        the return; NaN where there was no bet or its end is unknown.
    touch : ndarray of int64
        Instant of the end; -1 where unknown.
    ret : ndarray
        Simple return from entry to end, times the side of the bet; NaN where unknown.
    """

    label: FloatArray
    touch: IntArray
    ret: FloatArray


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class MetaLabels:
    """Whether a primary model's bets paid; every array has shape (n_slices, n_symbols).

    Parameters
    ----------
    label : ndarray
        1 where the bet earned more than its cost, else 0; NaN where there was no bet or its end is unknown.
    side : ndarray
        1 long, -1 short, 0 no bet; NaN where the score is.
    touch : ndarray of int64
        Instant of the end; -1 where unknown.
    ret : ndarray
        Return of the bet after its cost.
    """

    label: FloatArray
    side: FloatArray
    touch: IntArray
    ret: FloatArray


def triple_barrier(
    closes: FloatArray,
    volatility: FloatArray,
    *,
    profit: float | None,
    stop: float | None,
    horizon: int,
    highs: FloatArray | None = None,
    lows: FloatArray | None = None,
    side: FloatArray | None = None,
    vertical: Literal["zero", "sign"] = "zero",
    delay: int = ENTRY_DELAY,
) -> BarrierLabels:
    """Label each instant by the first of three barriers that the price touches after entry [1]_.

    A bet decided on the close of t enters at the close of ``t + delay``. It ends at the first later bar on which
    its return reaches ``profit`` or ``-stop`` times ``volatility[t] sqrt(horizon)``, at the latest at
    ``t + delay + horizon``.

    Parameters
    ----------
    closes : ndarray of shape (n_slices, n_symbols)
        NaN where a symbol has no bar; nothing can be touched there.
    volatility : ndarray of shape (n_slices, n_symbols)
        Of the return of a bar, as known at each instant.
    profit, stop : float, optional
        In units of the volatility over the horizon, positive; None leaves the barrier out.
    horizon : int
        Bars from entry to the vertical barrier; at least 1.
    highs, lows : ndarray of shape (n_slices, n_symbols), optional
        Barriers are touched within a bar; where NaN, or not given, only at its close.
    side : ndarray of shape (n_slices, n_symbols), optional
        Positive is a long bet, negative a short one, whose profit lies below; 0 and NaN are none. None is long.
    vertical : {"zero", "sign"}
        Label at the vertical barrier: 0, or the sign of the return.
    delay : int
        Bars from signal to entry.

    Returns
    -------
    BarrierLabels
        Unknown where the close of t, the entry, the volatility or the close of the vertical barrier is needed
        and missing, and at the last ``delay + horizon`` instants: those known there would be the quick ones only.

    Notes
    -----
    With highs and lows a bet ends at the price of its barrier, or, if the whole bar lies beyond, at the nearest
    price of that bar. A bar that touches both counts as the stop: which came first is unknown.

    References
    ----------
    .. [1] López de Prado (2018), "Advances in Financial Machine Learning", chapter 3.

    Examples
    --------
    >>> closes = np.array([[100.0], [100.0], [101.0], [103.0], [90.0], [90.0]])
    >>> labels = triple_barrier(closes, np.full((6, 1), 0.01), profit=1.5, stop=1.0, horizon=3)
    >>> labels.label[:, 0].tolist(), labels.touch[:, 0].tolist()
    ([1.0, -1.0, nan, nan, nan, nan], [3, 4, -1, -1, -1, -1])
    """
    for name, value in (("profit", profit), ("stop", stop)):
        if value is not None and not value > 0:
            raise DataError(f"{name}={value} is not allowed; it must be positive, or None")
    if horizon < 1 or delay < 0:
        raise DataError(f"horizon={horizon}, delay={delay} are not allowed; at least 1 and 0 are")
    if vertical not in ("zero", "sign"):
        raise DataError(f"vertical={vertical!r} is not allowed; zero and sign are")
    given = {"volatility": volatility, "highs": highs, "lows": lows, "side": side}
    for name, panel in given.items():
        if panel is not None and panel.shape != closes.shape:
            raise DataError(f"{name} has shape {panel.shape}; closes of {closes.shape} need the same")
    label, touch, ret = first_touch(
        _plain(closes),
        _plain(closes if highs is None else highs),
        _plain(closes if lows is None else lows),
        _plain(volatility * math.sqrt(horizon)),
        np.ones(closes.shape) if side is None else _plain(side),
        math.inf if profit is None else profit,
        math.inf if stop is None else stop,
        horizon,
        delay,
    )
    if vertical == "sign":
        label = np.where(label == 0.0, np.sign(ret), label)
    return BarrierLabels(label, touch, ret)


def meta_labels(
    scores: FloatArray,
    closes: FloatArray,
    volatility: FloatArray,
    *,
    profit: float | None,
    stop: float | None,
    horizon: int,
    cost: float = 0.0,
    highs: FloatArray | None = None,
    lows: FloatArray | None = None,
    delay: int = ENTRY_DELAY,
) -> MetaLabels:
    """Label the bets of a primary model by whether they paid after cost [1]_.

    The primary model gives the side, the sign of its score; a second model, fitted on these labels, says how
    likely the bet is to pay, and so how large it should be.

    Parameters
    ----------
    scores : ndarray of shape (n_slices, n_symbols)
        Of the primary model, out of sample; 0 and NaN are no bet.
    closes, volatility, profit, stop, horizon, highs, lows, delay
        As in `triple_barrier`; barriers are on the side of the bet.
    cost : float, default=0.0
        Of entry and exit together, as a share of the price; not negative.

    References
    ----------
    .. [1] López de Prado (2018), "Advances in Financial Machine Learning", section 3.6.
    """
    if not cost >= 0:
        raise DataError(f"cost={cost} is not allowed; it must not be negative")
    side = np.sign(scores)
    bets = triple_barrier(
        closes,
        volatility,
        profit=profit,
        stop=stop,
        horizon=horizon,
        highs=highs,
        lows=lows,
        side=side,
        delay=delay,
    )
    earned = bets.ret - cost
    return MetaLabels(np.where(np.isnan(earned), np.nan, earned > 0.0), side, bets.touch, earned)


def _plain(panel: FloatArray) -> FloatArray:
    """Return the panel in the one memory layout that the kernel is compiled for."""
    plain: FloatArray = np.array(panel, dtype=np.float64, order="C")
    return plain
