"""The incremental engine: no look-ahead, no trace of blocks, shards or restarts, equal to the batch form."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.core.market import BAR_FIELDS, BarPanel
from trader.data.simulated import SimulatedMarket
from trader.features import FeatureEngine, batch
from trader.settings import FeatureSettings, SimulationSettings

EVERYTHING = frozenset(BAR_FIELDS)
N_SYMBOLS = 3
FEW = settings(max_examples=12, deadline=None)
SEEDS = st.integers(0, 2**31)


def make_panel(seed: int, share_missing: float, n_days: int = 330) -> BarPanel:
    """A simulated market with bars taken away, fields of others too, and a stretch without any trade or move."""
    panel = SimulatedMarket(SimulationSettings(n_symbols=N_SYMBOLS, n_days=n_days), seed=seed).panel()
    rng = np.random.default_rng(seed)
    no_bar = rng.random(panel.close.shape) < share_missing
    fields = {}
    for name in BAR_FIELDS:
        missing = no_bar if name == "close" else no_bar | (rng.random(no_bar.shape) < share_missing / 8)
        fields[name] = np.where(missing, np.nan, getattr(panel, name))
    start = int(rng.integers(0, n_days))
    stale = slice(start, start + int(rng.integers(1, 80)))
    price = panel.close[start, 0]
    fields |= {name: fields[name].copy() for name in fields}
    for name in ("open", "high", "low", "close", "vwap"):
        fields[name][stale, 0] = np.where(np.isnan(fields[name][stale, 0]), np.nan, price)
    for name in ("volume", "buy_volume"):
        fields[name][stale, 0] *= 0.0
    return dataclasses.replace(panel, **fields)


def engine(bars_per_day: float = 1.0, n_symbols: int = N_SYMBOLS) -> FeatureEngine:
    return FeatureEngine(n_symbols, EVERYTHING, FeatureSettings(bars_per_day=bars_per_day))


@FEW
@given(seed=SEEDS, missing=st.sampled_from([0.0, 0.05, 0.4]), bars_per_day=st.sampled_from([0.2, 0.5, 1.0, 1.3]))
def test_incremental_equals_batch(seed, missing, bars_per_day):
    """Every feature of every bar, NaN included, is what the vectorised form computes from scratch."""
    panel = make_panel(seed, missing)
    live = engine(bars_per_day)
    got = live.update(panel)
    expected = batch(panel, EVERYTHING, FeatureSettings(bars_per_day=bars_per_day))
    for at, name in enumerate(live.names):
        mine, other = got[:, :, at], expected[:, :, at]
        # Where nearly equal logarithms are subtracted, what is left carries their rounding: it is small beside the
        # feature's usual size.
        size = np.max(np.abs(other), where=np.isfinite(other), initial=0.0)
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-11 * size, err_msg=name)


@FEW
@given(
    seed=SEEDS,
    missing=st.sampled_from([0.0, 0.3]),
    cuts=st.lists(st.integers(1, 329), unique=True, max_size=20),
    restart=st.integers(0, 20),
)
def test_blocks_and_restarts_leave_no_trace(seed, missing, cuts, restart):
    """Any split into blocks, with a new engine restored in between, gives the same values bit for bit."""
    panel = make_panel(seed, missing)
    whole = engine().update(panel)
    live, rows = engine(), []
    edges = [0, *sorted(cuts), len(panel)]
    for i in range(len(edges) - 1):
        if i == restart:
            state = live.state()
            live = engine()
            live.restore(state)
        rows.append(live.update(panel.rows(edges[i], edges[i + 1])))
    np.testing.assert_array_equal(np.concatenate(rows), whole)


@FEW
@given(seed=SEEDS, missing=st.sampled_from([0.0, 0.3]), now=st.integers(1, 329))
def test_the_future_changes_nothing(seed, missing, now):
    """Features up to now are the same bit for bit when all later bars are removed, and when they are altered."""
    panel = make_panel(seed, missing)
    whole = engine().update(panel)
    np.testing.assert_array_equal(engine().update(panel.rows(0, now)), whole[:now])
    rng = np.random.default_rng(seed)
    later = np.arange(len(panel))[:, None] >= now
    altered = {
        name: np.where(later, getattr(panel, name) * np.exp(rng.normal(size=panel.close.shape)), getattr(panel, name))
        for name in BAR_FIELDS
    }
    np.testing.assert_array_equal(engine().update(dataclasses.replace(panel, **altered))[:now], whole[:now])
    truncated = batch(panel.rows(0, now), EVERYTHING, FeatureSettings())
    full = batch(panel, EVERYTHING, FeatureSettings())
    np.testing.assert_allclose(truncated, full[:now], rtol=1e-12, atol=1e-14)


@FEW
@given(seed=SEEDS, ids=st.lists(st.integers(0, N_SYMBOLS - 1), min_size=1, unique=True))
def test_shards_compute_what_the_whole_does(seed, ids):
    """An engine over some of the symbols gives the same values for them."""
    panel = make_panel(seed, 0.2)
    whole = engine().update(panel)
    part = engine(n_symbols=len(ids)).update(panel.columns_of(np.array(ids)))
    np.testing.assert_array_equal(part, whole[:, ids])
