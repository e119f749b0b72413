"""Buckets do not depend on how bars are batched, and are those that plain Python fills."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from trader.core.market import BarBatch
from trader.data.toxicity import Vpin, VpinBatch
from trader.data.toxicity.vpin import CLASSIFIERS

N_SYMBOLS, BUCKETS, WINDOW, HALF_LIFE = 2, [50.0, 70.0], 3, 20.0


def make_bars(seed: int, n: int) -> BarBatch:
    """Bars of two symbols, a tenth of them without volume or with a NaN."""
    rng = np.random.default_rng(seed)
    close = np.round(100 + np.cumsum(rng.normal(0, 0.02, n)), 2)
    volume = np.where(rng.random(n) < 0.1, rng.choice([0.0, np.nan], n), rng.integers(1, 200, n).astype(float))
    bought = volume * rng.random(n)
    close = np.where(rng.random(n) < 0.05, np.nan, close)
    ts, one = np.arange(n), np.ones(n)
    return BarBatch(ts, ts + 1, rng.integers(0, N_SYMBOLS, n), one, one, one, close, volume, one, bought, one, ts)


def plainly(bars: BarBatch, classifier: str) -> list[tuple[int, int, float, float]]:
    """Each full bucket: stamp, symbol, signed imbalance and VPIN, with moves weighted one by one."""
    closes: dict[int, float] = {}
    moves: dict[int, list[float]] = {s: [] for s in range(N_SYMBOLS)}
    poured: dict[int, list[tuple[float, float]]] = {s: [] for s in range(N_SYMBOLS)}
    full: dict[int, list[float]] = {s: [] for s in range(N_SYMBOLS)}
    out = []
    for i in range(len(bars)):
        symbol, volume, close = int(bars.symbol_id[i]), float(bars.volume[i]), float(bars.close[i])
        if classifier == "side":
            if not volume > 0:
                continue
            share = float(bars.buy_volume[i]) / volume
        else:
            if not volume > 0 or math.isnan(close):
                continue
            z = 0.0
            if symbol in closes:
                moves[symbol].append(close - closes[symbol])
                weights = 0.5 ** (np.arange(len(moves[symbol]))[::-1] / HALF_LIFE)
                root = math.sqrt(np.average(np.square(moves[symbol]), weights=weights))
                z = moves[symbol][-1] / root if root > 0 else 0.0
            closes[symbol] = close
            share = float(stats.norm.cdf(z) if classifier == "normal" else stats.t.cdf(z, 0.25))
        while volume > 0:
            taken = min(volume, BUCKETS[symbol] - sum(v for v, _ in poured[symbol]))
            poured[symbol].append((taken, share))
            volume -= taken
            if sum(v for v, _ in poured[symbol]) == BUCKETS[symbol]:
                signed = sum(v * (2 * s - 1) for v, s in poured[symbol]) / BUCKETS[symbol]
                full[symbol].append(abs(signed))
                poured[symbol] = []
                last = full[symbol][-WINDOW:]
                vpin = sum(last) / WINDOW if len(last) == WINDOW else math.nan
                out.append((int(bars.ts_ns[i]), symbol, signed, vpin))
    return out


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 120), cuts=st.lists(st.integers(0, 120), max_size=12))
def test_any_split_fills_the_same_buckets(classifier, seed, n, cuts):
    """With a restart at every cut, to the last bit; plain Python agrees but for rounding."""
    bars = make_bars(seed, n)
    options = {"window": WINDOW, "classifier": classifier, "half_life": HALF_LIFE}
    whole = Vpin(N_SYMBOLS, BUCKETS, **options)
    expected = whole.update(bars)
    meter, parts = Vpin(N_SYMBOLS, BUCKETS, **options), []
    for start, stop in itertools.pairwise(sorted({0, n, *(cut for cut in cuts if cut < n)})):
        again = Vpin(N_SYMBOLS, BUCKETS, **options)
        again.restore(meter.state())
        meter = again
        parts.append(meter.update(bars.take(slice(start, stop))))
    assert VpinBatch.concat(parts) == expected
    assert meter.skipped == whole.skipped

    found = np.array(plainly(bars, classifier)).reshape(-1, 4)
    mine = np.column_stack([np.asarray(column, float) for column in expected.columns().values()])
    np.testing.assert_allclose(mine, found, rtol=1e-9, atol=1e-9)
