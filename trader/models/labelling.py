"""From closes to the target of a fit and the weight of each label, as the settings ask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.models.labels import sample_weights, triple_barrier, vertical_touch
from trader.models.targets import demeaned, scaled_target, trailing_volatility
from trader.settings.sections import LabelSettings

__all__ = ["label_panel"]

FloatArray = NDArray[np.float64]


def label_panel(
    closes: FloatArray,
    horizon: int,
    settings: LabelSettings,
    *,
    highs: FloatArray | None = None,
    lows: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray | None]:
    """Return the target and the weight of each label.

    Parameters
    ----------
    closes : ndarray of shape (n_slices, n_symbols)
        NaN where a symbol has no bar.
    horizon : int
        Bars that a label looks ahead of its entry, at most.
    settings : LabelSettings
        `forward` labels by `scaled_target`; `barriers` by the return to the first barrier that is touched, in the
        same unit: the symbol's own volatility over the horizon, less the mean of its instant.
    highs, lows : ndarray of shape (n_slices, n_symbols), optional
        Barriers are touched within a bar where these are known.

    Returns
    -------
    target : ndarray of shape (n_slices, n_symbols)
        NaN where unknown.
    weight : ndarray of shape (n_slices, n_symbols) or None
        Mean 1 over the labels; None where all count the same.
    """
    if settings.kind == "forward":
        target = scaled_target(closes, horizon)
        touch = vertical_touch(np.isfinite(target), horizon)
    else:
        volatility = trailing_volatility(closes)
        found = triple_barrier(
            closes,
            volatility,
            profit=settings.profit,
            stop=settings.stop,
            horizon=horizon,
            highs=highs,
            lows=lows,
        )
        target = demeaned(found.ret / (volatility * np.sqrt(horizon)))
        touch = np.where(np.isfinite(target), found.touch, -1)
    if settings.weights == "equal":
        return target, None
    by_return = closes if settings.weights == "return" else None
    return target, sample_weights(touch, closes=by_return, oldest=settings.oldest)
