"""What detectors look at: quotes in equal intervals, and returns of a portfolio's assets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from risk.correlation.devolatilise import devolatilised
from trader.core.errors import DataError
from trader.core.market import QuoteBatch

__all__ = ["QUOTE_FEATURES", "RETURN_FEATURES", "quote_features", "return_features"]

FloatArray = NDArray[np.float64]

QUOTE_FEATURES = ("move", "spread", "depth", "updates", "silence")
"""Log change of the mid; log of the mean spread (bps); log of the mean smaller size; log of 1 + the number of quotes;
seconds since the last quote, as log of 1 + them."""

RETURN_FEATURES = ("mean", "dispersion", "largest", "volatility")
"""Of assets' returns over their volatility: mean, deviation, largest absolute one, log of the mean square of 5."""


def quote_features(quotes: QuoteBatch, symbol: int = 0, interval_s: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """Return features of a symbol's quotes in equal intervals from its first quote on.

    Parameters
    ----------
    quotes : QuoteBatch
        In order of event time.
    symbol : int, default=0
    interval_s : float, default=1
        Above 0.

    Returns
    -------
    features : ndarray of shape (n_intervals, 5)
        `QUOTE_FEATURES`. Where an interval has no quote, spread and depth are those of the one before. Quotes without
        a positive mid are left out; a spread of 0 or less counts as .001 bps.
    ends_ns : ndarray of int64, shape (n_intervals,)
        When each interval ends.

    Raises
    ------
    DataError
        If the interval is not allowed, stamps fall, or fewer than two intervals are there.
    """
    if not interval_s > 0.0:
        raise DataError(f"interval_s={interval_s} is not allowed; above 0 is")
    mid = (quotes.bid + quotes.ask) / 2.0
    chosen = (quotes.symbol_id == symbol) & (mid > 0.0)
    ts_ns, mid = quotes.ts_event_ns[chosen], mid[chosen]
    if len(ts_ns) and (np.diff(ts_ns) < 0).any():
        raise DataError("quotes are not in order of event time")
    step = int(interval_s * 1e9)
    n_intervals = int((ts_ns[-1] - ts_ns[0]) // step) + 1 if len(ts_ns) else 0
    if n_intervals < 2:
        raise DataError(
            f"quotes of symbol {symbol} span {n_intervals} intervals of {interval_s} s; 2 or more are needed"
        )
    interval = (ts_ns - ts_ns[0]) // step
    counts = np.bincount(interval, minlength=n_intervals)
    last = np.cumsum(counts) - 1
    spread = np.maximum((quotes.ask - quotes.bid)[chosen] / mid * 1e4, 1e-3)
    size = np.maximum(np.minimum(quotes.bid_size, quotes.ask_size)[chosen], 1e-9)
    filled = np.maximum.accumulate(np.where(counts > 0, np.arange(n_intervals), 0))
    means = [
        (np.bincount(interval, weights=values, minlength=n_intervals) / np.maximum(counts, 1))[filled]
        for values in (spread, size)
    ]
    ends_ns = ts_ns[0] + step * np.arange(1, n_intervals + 1, dtype=np.int64)
    features = np.column_stack(
        [
            np.diff(np.log(mid[last]), prepend=np.log(mid[0])),
            np.log(means[0]),
            np.log(means[1]),
            np.log1p(counts),
            np.log1p((ends_ns - ts_ns[last]) / 1e9),
        ]
    )
    return features, ends_ns


def return_features(returns: FloatArray, halflife: float = 20.0) -> FloatArray:
    """Return features of returns (n_periods, n_assets), shape (n_periods, 4): `RETURN_FEATURES`.

    With one asset, dispersion is 0. Errors as `risk.correlation.devolatilise.devolatilised`.
    """
    standard = devolatilised(returns, halflife)
    squares = np.square(standard).mean(axis=1)
    sums = np.cumsum(np.concatenate([[0.0], squares]))
    first = np.maximum(np.arange(len(squares)) - 4, 0)
    recent = (sums[1:] - sums[first]) / (np.arange(len(squares)) - first + 1)
    return np.column_stack(
        [
            standard.mean(axis=1),
            standard.std(axis=1),
            np.abs(standard).max(axis=1),
            np.log(np.maximum(recent, 1e-12)),
        ]
    )
