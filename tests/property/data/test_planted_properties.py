"""Planted markets know no future."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.data.planted import plant
from trader.data.simulation.signals import SIGNALS
from trader.settings import PlantedSettings


@settings(max_examples=25, deadline=None)
@given(
    signal=st.sampled_from(sorted(SIGNALS)),
    n_days=st.integers(2, 40),
    more=st.integers(1, 40),
    n_symbols=st.integers(4, 9),
    lag=st.integers(1, 5),
    horizon=st.integers(1, 7),
    delay=st.integers(0, 3),
    seed=st.integers(0, 2**32),
)
def test_a_longer_market_begins_with_the_shorter_one(
    signal: str, n_days: int, more: int, n_symbols: int, lag: int, horizon: int, delay: int, seed: int
) -> None:
    """Bars and the oracle up to an instant are the same bits whatever comes after it."""
    short, long = (
        plant(PlantedSettings(signal=signal, n_symbols=n_symbols, n_days=days, lag=lag), seed=seed)  # type: ignore[arg-type]
        for days in (n_days, n_days + more)
    )
    assert np.array_equal(short.oracle(horizon, delay), long.oracle(horizon, delay)[:n_days])
    assert np.isfinite(short.oracle(horizon, delay)).all()
    assert short.panel.to_bars() == long.panel.rows(0, n_days).to_bars()
