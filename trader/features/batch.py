"""Features of a whole panel from scratch: the second, independent form of every family.

Vectorised with numpy and pandas. Notebooks use it, and the incremental engine is tested against it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.core.market import BAR_FIELDS, BarPanel
from trader.features.families import choose
from trader.features.family import Series
from trader.features.windows import only_where
from trader.settings import FeatureSettings

__all__ = ["batch"]

FloatArray = NDArray[np.float64]

_DAY_NS = 86_400_000_000_000


def batch(panel: BarPanel, fields: frozenset[str], settings: FeatureSettings) -> FloatArray:
    """Return what a new `FeatureEngine` would for this panel, shape (n_slices, n_symbols, n_features).

    The parameters and the rules for missing bars and fields are those of `FeatureEngine`.
    """
    families = choose(fields, settings)[0].values()
    out = np.full((len(panel), panel.n_symbols, sum(len(family.names) for family in families)), np.nan)
    for symbol in range(panel.n_symbols):
        has_bar = np.isfinite(panel.close[:, symbol])
        bars = _series(panel, symbol, has_bar, fields)
        columns = [np.empty((len(bars), 0))]
        for family in families:
            present = np.all([np.isfinite(getattr(bars, name)) for name in family.inputs], axis=0)
            columns.append(only_where(present, family.batch(bars.take(present))))
        rows = np.concatenate(columns, axis=1)
        last = np.cumsum(has_bar) - 1
        started = last >= 0
        out[started, symbol] = rows[last[started]]
    return out


def _series(panel: BarPanel, symbol: int, has_bar: NDArray[np.bool_], fields: frozenset[str]) -> Series:
    close = panel.close[has_bar, symbol]
    nothing = np.full(close.size, np.nan)
    field = {name: getattr(panel, name)[has_bar, symbol] if name in fields else nothing for name in BAR_FIELDS}
    log_close = np.log(close)
    last_ns = panel.ts_ns[has_bar] - 1
    return Series(
        **field,
        log_close=log_close,
        log_return=np.diff(log_close, prepend=np.nan),
        previous_close=np.concatenate((nothing[:1], close[:-1])),
        day=np.floor_divide(last_ns, _DAY_NS).astype(np.float64),
        log_body=np.log(close / field["open"]),
        log_up=np.log(field["high"] / field["open"]),
        log_down=np.log(field["low"] / field["open"]),
        day_fraction=(last_ns % _DAY_NS + 1) / _DAY_NS,
    )
