from __future__ import annotations

import numpy as np
import pytest

from trader.core.errors import DataError, SettingsError
from trader.core.market import BarBatch
from trader.data.toxicity import Vpin


def make_bars(close: np.ndarray, volume: np.ndarray, bought: np.ndarray) -> BarBatch:
    n = len(volume)
    ts, one = np.arange(n), np.ones(n)
    return BarBatch(ts, ts + 1, 0 * ts, one, one, one, close, volume, one, bought, one, ts)


def informed(n: int, uninformed: float, news: float, seed: int, stretch: int = 20) -> BarBatch:
    """Bars of the sequential trade model: buys and sells arrive at rate `uninformed` each, informed ones at `news`.

    The direction of the news is drawn for each stretch of bars; the price follows the flow.
    """
    rng = np.random.default_rng(seed)
    up = np.repeat(rng.random(-(-n // stretch)) < 0.5, stretch)[:n]
    buys = rng.poisson(uninformed + news * up).astype(float)
    sells = rng.poisson(uninformed + news * ~up).astype(float)
    close = 100 + np.cumsum(1e-3 * (buys - sells))
    return make_bars(close, buys + sells, buys)


def test_worked_by_hand() -> None:
    """Bulk classification of three bars that do not move, then fall for the first time: shares 1/2 and F(-1)."""
    meter = Vpin(1, bucket=10.0, window=2)
    bars = make_bars(np.array([5.0, 5.0, 4.0]), np.array([10.0, 5.0, 5.0]), np.full(3, np.nan))
    found = meter.update(bars)
    # Squared moves are 0 and 1, nearly equally weighted, so the fall is one of sqrt(2) usual moves: F = 0.0786.
    sold = 1 - 2 * 0.0786
    np.testing.assert_allclose(found.imbalance, [0.0, -sold / 2], atol=1e-3)
    np.testing.assert_allclose(found.vpin, [np.nan, sold / 4], atol=1e-3)


@pytest.mark.parametrize("news", [30.0, 100.0, 300.0])
def test_with_known_sides_it_is_the_share_of_the_informed(news: float) -> None:
    """VPIN is close to news / (news + 2 uninformed), the closed form of the paper's equation for constant news."""
    meter = Vpin(1, bucket=2_000.0, window=400, classifier="side")
    uninformed = 50.0
    found = meter.update(informed(20_000, uninformed, news, seed=3, stretch=500))
    share = news / (news + 2 * uninformed)
    # The few buckets in which the news turns mix both directions.
    assert np.nanmedian(found.vpin) == pytest.approx(share, rel=0.03)


@pytest.mark.parametrize("classifier", ["normal", "t", "side"])
def test_it_rises_where_toxicity_is_planted(classifier: str) -> None:
    """A calm half, then a half with informed traders: every later VPIN is above every earlier one."""
    calm, toxic = informed(4_000, 50.0, 2.0, seed=1), informed(4_000, 50.0, 80.0, seed=2)
    both = BarBatch.concat([calm, toxic])
    columns = both.columns() | {
        "ts_ns": np.arange(len(both)) + 1,
        "close": np.concatenate([calm.close, toxic.close - toxic.close[0] + calm.close[-1]]),
    }
    found = Vpin(1, 1_000.0, 50, classifier).update(BarBatch(**columns))  # type: ignore[arg-type]
    before = found.vpin[(found.ts_ns <= 4_000) & np.isfinite(found.vpin)]
    after = found.vpin[found.ts_ns > 4_000][50:]
    assert before.size > 200
    assert after.min() > before.max()


def test_what_is_skipped_is_counted() -> None:
    """No volume, or no price to classify by: no volume enters a bucket."""
    meter = Vpin(1, bucket=10.0, window=1)
    bars = make_bars(np.array([5.0, np.nan, 5.0]), np.array([0.0, 10.0, 10.0]), np.zeros(3))
    assert (len(meter.update(bars)), meter.skipped) == (1, 2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bucket": 0.0}, r"bucket=\[0.0\]; finite volumes above 0"),
        ({"window": 0}, "window=0; at least 1"),
        ({"classifier": "tick"}, "classifier='tick'; allowed are normal, t, side"),
        ({"degrees": -1.0}, "degrees=-1.0; a finite number above 0"),
    ],
)
def test_bad_arguments(changed: dict, message: str) -> None:
    """Errors name the argument, the value and what is allowed."""
    with pytest.raises(SettingsError, match=message):
        Vpin(**({"n_symbols": 1, "bucket": 10.0} | changed))


def test_what_does_not_fit() -> None:
    """Unknown symbols, and states of other buckets."""
    bars = make_bars(np.ones(1), np.ones(1), np.ones(1))
    wrong = BarBatch(**(bars.columns() | {"symbol_id": [3]}))
    with pytest.raises(DataError, match="symbol_id=3 in a bar; allowed are 0 to 0"):
        Vpin(1, 10.0).update(wrong)
    with pytest.raises(DataError, match=r"state of buckets \[10.0\] and a window of 50"):
        Vpin(1, 20.0).restore(Vpin(1, 10.0).state())
