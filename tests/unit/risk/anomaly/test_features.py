"""Features, limits and judgements beside figures worked out another way."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from risk.anomaly.base import alarm_limit
from risk.anomaly.detectors import open_detector
from risk.anomaly.features import QUOTE_FEATURES, RETURN_FEATURES, quote_features, return_features
from risk.anomaly.judging import judge_alarms
from risk.anomaly.kernels import rescale
from risk.anomaly.simulation import KINDS, Injected, simulate_quotes
from risk.correlation.devolatilise import devolatilised
from tests.support.returns import garch_returns
from trader.core.errors import DataError
from trader.core.market import QuoteBatch


def _quotes(seconds: list[float], bid: list[float], ask: list[float], sizes: list[float]) -> QuoteBatch:
    ts_ns = (np.array(seconds) * 1e9).astype(np.int64)
    size = np.array(sizes)
    return QuoteBatch(ts_ns, ts_ns, np.zeros(len(ts_ns), np.int32), np.array(bid), np.array(ask), size, 2 * size)


def test_quotes_in_seconds() -> None:
    """Three seconds by hand: two quotes, none, one."""
    quotes = _quotes([10.0, 10.25, 12.5], [99.0, 99.5, 100.5], [101.0, 100.5, 101.5], [4.0, 6.0, 3.0])
    features, ends_ns = quote_features(quotes)
    assert ends_ns.tolist() == [11_000_000_000, 12_000_000_000, 13_000_000_000]
    by_name = dict(zip(QUOTE_FEATURES, features.T, strict=True))
    np.testing.assert_allclose(by_name["move"], [0.0, 0.0, np.log(101 / 100)], atol=1e-12)
    np.testing.assert_allclose(np.exp(by_name["spread"]), [150.0, 150.0, 1e4 / 101])
    np.testing.assert_allclose(np.exp(by_name["depth"]), [5.0, 5.0, 3.0])
    np.testing.assert_allclose(np.expm1(by_name["updates"]), [2.0, 0.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(np.expm1(by_name["silence"]), [0.75, 1.75, 0.5], rtol=1e-9)


def test_quotes_as_pandas() -> None:
    """Simulated quotes, resampled by pandas."""
    quotes = simulate_quotes(200, 9).quotes
    features, _ = quote_features(quotes)
    stamps = pd.to_timedelta(quotes.ts_event_ns - quotes.ts_event_ns[0], unit="ns")
    mid = (quotes.bid + quotes.ask) / 2
    frame = pd.DataFrame({"mid": mid, "spread": (quotes.ask - quotes.bid) / mid * 1e4}, index=stamps)
    seconds = frame.resample("1s")
    np.testing.assert_allclose(np.exp(features[:, 1]), seconds["spread"].mean().ffill(), rtol=1e-9)
    np.testing.assert_allclose(np.diff(np.log(seconds["mid"].last().ffill())), features[1:, 0], atol=1e-12)
    np.testing.assert_allclose(np.expm1(features[:, 3]), seconds["mid"].count(), atol=1e-9)


def test_what_quotes_are_refused() -> None:
    good = _quotes([1.0, 3.0], [9.0, 9.0], [10.0, 10.0], [1.0, 1.0])
    crossed = _quotes([1.0, 3.0], [10.0, 10.0], [9.0, 9.0], [1.0, 1.0])
    assert np.isfinite(quote_features(crossed)[0]).all()
    for call, match in (
        (lambda: quote_features(good, symbol=3), "symbol 3 span 0"),
        (lambda: quote_features(good, interval_s=0.0), "interval_s=0"),
        (lambda: quote_features(good, interval_s=60.0), "span 1"),
        (lambda: quote_features(_quotes([3.0, 1.0], [9.0] * 2, [10.0] * 2, [1.0] * 2)), "order"),
        (lambda: simulate_quotes(100, 1, 5), "2250 are"),
        (lambda: open_detector("nose", QUOTE_FEATURES), "shewhart, ewma, cusum"),
        (lambda: open_detector("quotes", RETURN_FEATURES), "needs the features"),
        (lambda: open_detector("ewma", ()), "names is empty"),
    ):
        with pytest.raises(DataError, match=match):
            call()


def test_returns_over_their_volatility() -> None:
    returns = garch_returns(300, 4, 1)
    features = return_features(returns)
    standard = devolatilised(returns)
    np.testing.assert_allclose(features[:, 0], standard.mean(axis=1))
    np.testing.assert_allclose(features[:, 1], standard.std(axis=1))
    np.testing.assert_allclose(features[:, 2], np.abs(standard).max(axis=1))
    recent = pd.Series((standard**2).mean(axis=1)).rolling(5, min_periods=1).mean()
    np.testing.assert_allclose(features[:, 3], np.log(recent), rtol=1e-9)


def test_running_scales() -> None:
    """The recursion written out; an outlier moves the level no further than its cut."""
    values = np.random.default_rng(2).normal(3.0, 2.0, (50, 1))
    values[20] = 1e6
    level, deviation = np.array([3.0]), np.array([1.5])
    found = rescale(values, level.copy(), deviation.copy(), 0.9, 4.0)
    at, unit = 3.0, 1.5
    for t in range(50):
        away = (values[t, 0] - at) / unit
        assert found[t, 0] == pytest.approx(np.clip(away, -100, 100))
        away = np.clip(away, -4, 4)
        at, unit = at + 0.1 * away * unit, 0.9 * unit + 0.1 * abs(away) * unit
    assert abs(at - 3.0) < 3.0


@pytest.mark.parametrize(
    ("law", "low", "high"),
    [(stats.norm(), 3e-4, 1e-3), (stats.t(4), 7e-4, 1.4e-3), (stats.expon(), 7e-4, 1.4e-3)],
)
def test_limits_are_exceeded_as_often_as_asked(law: stats.rv_continuous, low: float, high: float) -> None:
    """Of 20 fits to 10,000 values the true rate beyond the limit is near the one in 1,000 asked for.

    A normal tail falls faster than the exponential one it is taken for: fewer than asked.
    """
    rates = []
    for seed in range(20):
        limit = alarm_limit(np.abs(law.rvs(10_000, random_state=seed)), 10.0)
        rates.append(law.sf(limit) + law.cdf(-limit))
    assert low < np.exp(np.mean(np.log(rates))) < high


def test_bounded_scores_may_end() -> None:
    """A tail that ends is believed only where scores cannot go further."""
    scores = np.random.default_rng(3).random(10_000)
    assert 0.999 < alarm_limit(scores, 1.0, bounded=True) < 1.01
    assert alarm_limit(scores, 1.0) > 1.1
    assert alarm_limit(scores, 1000.0) == pytest.approx(np.quantile(scores, 0.9))
    with pytest.raises(DataError, match="all the same"):
        alarm_limit(np.ones(1000), 1.0)


def test_alarms_are_judged_by_events() -> None:
    """Two anomalies, one found; four rows of alarm in two runs, one of them false."""
    injected = [Injected("jump", 10, 11), Injected("stale", 50, 60)]
    alarms = np.zeros(100, bool)
    alarms[[55, 57, 58, 90]] = True
    found = judge_alarms(alarms, injected)
    assert (found.n_alarms, found.n_false, found.precision, found.recall) == (2, 1, 0.5, 0.5)
    assert found.to_dict()["recall_by_kind"] == {"jump": 0.0, "stale": 1.0}
    nothing = judge_alarms(np.zeros(10, bool), ())
    assert np.isnan(nothing.precision)
    assert np.isnan(nothing.recall)


def test_the_simulated_market() -> None:
    """Equal seeds give equal quotes; moves are heavy-tailed, volatility clusters, spreads are autocorrelated."""
    market = simulate_quotes(6000, 4)
    features = quote_features(market.quotes)[0]
    np.testing.assert_array_equal(features, quote_features(simulate_quotes(6000, 4).quotes)[0])
    moves = features[:, 0]
    assert stats.kurtosis(moves) > 2.0
    assert np.corrcoef(np.abs(moves[1:]), np.abs(moves[:-1]))[0, 1] > 0.05
    assert np.corrcoef(features[1:, 1], features[:-1, 1])[0, 1] > 0.7
    injected = simulate_quotes(6000, 4, 4).injected
    assert sorted(x.kind for x in injected) == sorted(KINDS * 4)
    assert all(after.begin - before.end > 30 for before, after in itertools.pairwise(injected))
