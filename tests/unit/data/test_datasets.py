from __future__ import annotations

import numpy as np
import pandas as pd
from skfolio.datasets import load_sp500_dataset, load_sp500_index

from trader.data.datasets import benchmark_for, sp500_bars, sp500_index
from trader.settings import FeedSettings


def test_sp500_bars_are_what_skfolio_loads() -> None:
    """Names, days and closes equal those of the library's own loader."""
    frame = load_sp500_dataset()
    bars, universe = sp500_bars()
    assert universe.symbols == tuple(frame.columns)
    assert np.array_equal(bars.close.reshape(frame.shape), frame.to_numpy())
    assert np.array_equal(bars.symbol_id.reshape(frame.shape)[0], np.arange(20))
    stamps = pd.DatetimeIndex(bars.ts_ns[::20], tz="UTC").tz_convert("America/New_York")
    assert (stamps.tz_localize(None).normalize() == frame.index).all()
    assert set(stamps.strftime("%H:%M")) == {"16:00"}


def test_sp500_bars_know_closes_only() -> None:
    """Every other field is NaN, and a bar opens at its close."""
    bars, _ = sp500_bars()
    for name in ("open", "high", "low", "volume", "vwap", "buy_volume", "spread"):
        assert np.isnan(getattr(bars, name)).all()
    assert np.array_equal(bars.ts_open_ns, bars.ts_ns)


def test_the_index_has_the_days_of_the_stocks() -> None:
    """The benchmark is on the same instants, and equals the library's."""
    stamps, close = sp500_index()
    assert np.array_equal(stamps, np.unique(sp500_bars()[0].ts_ns))
    assert np.array_equal(close, load_sp500_index()["SP500"].to_numpy())


def test_benchmarks() -> None:
    """The index belongs to the sp500 feed; other feeds have none."""
    benchmark = benchmark_for(FeedSettings())
    assert benchmark is not None
    assert benchmark.name == "S&P 500"
    assert benchmark.ts_ns.shape == benchmark.close.shape == (8313,)
    assert benchmark_for(FeedSettings(kind="simulated")) is None
