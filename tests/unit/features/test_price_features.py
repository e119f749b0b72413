"""Features of closes against numpy, pandas, scipy and plain formulas."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from scipy import stats


def test_returns_over_horizons(features_of, closes):
    """Each is the log of the ratio to the close so many days before."""
    features = features_of("returns", close=closes)
    for days in (1, 2, 5, 10, 21, 63, 126, 252):
        feature = features[f"return_{days}d"]
        assert np.isnan(feature[:days]).all()
        np.testing.assert_allclose(feature[days:], np.log(closes[days:] / closes[:-days]), atol=1e-14)


def test_momentum_leaves_out_the_last_month(features_of, closes):
    """A jump in the last 21 days does not change it; one before does."""
    features = features_of("momentum", close=closes)
    np.testing.assert_allclose(features["momentum_12_1"][-1], np.log(closes[-22] / closes[-253]), atol=1e-14)
    np.testing.assert_allclose(features["momentum_6_1"][-1], np.log(closes[-22] / closes[-127]), atol=1e-14)
    jumped = np.where(np.arange(closes.size) >= closes.size - 21, 2 * closes, closes)
    assert features_of("momentum", close=jumped)["momentum_12_1"][-1] == features["momentum_12_1"][-1]


def test_macd_is_that_of_pandas(features_of, closes):
    """Line, signal and histogram over the close are pandas' exponential means (spans 12, 26 and 9)."""
    features = features_of("macd", close=closes)
    price = pd.Series(closes)
    line = price.ewm(span=12, adjust=False).mean() - price.ewm(span=26, adjust=False).mean()
    signal = line.ewm(span=9, adjust=False).mean()
    for name, expected in (("macd", line), ("macd_signal", signal), ("macd_histogram", line - signal)):
        assert np.isnan(features[name][:33]).all()
        np.testing.assert_allclose(features[name][33:], (expected / price)[33:], rtol=1e-9, atol=1e-14)


def test_macd_of_a_straight_line(features_of):
    """An EMA of span n lags a straight line by (n - 1) / 2, so the line settles at 7 slopes and the histogram at 0."""
    price = 100 + 0.5 * np.arange(600)
    features = features_of("macd", close=price)
    np.testing.assert_allclose(features["macd"][-1] * price[-1], 7 * 0.5, rtol=1e-9)
    assert abs(features["macd_histogram"][-1]) < 1e-12


def test_rsi_has_its_bounds(features_of):
    """Only rises make 100, only falls 0, no move at all is undefined."""
    days = np.arange(1.0, 31.0)
    assert features_of("rsi", close=days)["rsi_14d"][-1] == 100
    assert features_of("rsi", close=days[::-1])["rsi_14d"][-1] == 0
    assert np.isnan(features_of("rsi", close=np.ones(30))["rsi_14d"]).all()


def test_bollinger_position_and_width(features_of, closes):
    """Population deviation, two of them a band, over 20 closes."""
    features = features_of("bollinger", close=closes)
    window = closes[-20:]
    position = (closes[-1] - window.mean()) / (2 * window.std())
    np.testing.assert_allclose(features["bollinger_position_20d"][-1], position, rtol=1e-11)
    np.testing.assert_allclose(features["bollinger_width_20d"][-1], 4 * window.std() / window.mean(), rtol=1e-11)


def test_bollinger_survives_a_tiny_spread_and_none(features_of):
    """A spread of 1e-9 of the price is measured to nine digits; none at all leaves the position undefined."""
    price = 1000 + 1e-6 * np.random.default_rng(0).normal(size=60)
    window = price[-20:] - price[-20]
    position = (window[-1] - window.mean()) / (2 * window.std())
    np.testing.assert_allclose(features_of("bollinger", close=price)["bollinger_position_20d"][-1], position, rtol=1e-9)
    flat = features_of("bollinger", close=np.full(60, 0.1))
    assert np.isnan(flat["bollinger_position_20d"]).all()
    assert flat["bollinger_width_20d"][-1] == 0


def test_distances_from_extremes(features_of, closes):
    """Distances are to the highest and lowest close of the window, which includes the last."""
    features = features_of("extremes", close=closes)
    expected = {
        "high_distance_21d": closes[-1] / closes[-21:].max() - 1,
        "low_distance_21d": closes[-1] / closes[-21:].min() - 1,
        "low_distance_252d": closes[-1] / closes[-252:].min() - 1,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(features[name][-1], value, rtol=1e-12, err_msg=name)


def test_drawdown_depth_and_age(features_of):
    """After a peak 30 bars ago the drawdown is the fall since then, aged 30 / 252."""
    price = np.concatenate((np.linspace(50, 100, 270), np.full(30, 80.0)))
    features = features_of("drawdown", close=price)
    np.testing.assert_allclose(features["drawdown_252d"][-1], -0.2)
    assert features["drawdown_age_252d"][-1] == 30 / 252
    assert features["drawdown_age_252d"][269] == 0


def test_skewness_is_that_of_scipy(features_of, closes):
    """It is scipy's bias-corrected skewness of the last 63 returns."""
    skew = features_of("skewness", close=closes)["skew_63d"]
    np.testing.assert_allclose(skew[-1], stats.skew(np.diff(np.log(closes))[-63:], bias=False), rtol=1e-10)


def test_autocorrelation_is_that_of_numpy(features_of, closes):
    """It is Pearson's correlation of 63 returns with the ones before them."""
    feature = features_of("autocorrelation", close=closes)["autocorrelation_63d"]
    returns = np.diff(np.log(closes))
    for end in (64, 65, 130, 379):
        expected = np.corrcoef(returns[end - 63 : end], returns[end - 64 : end - 1])[0, 1]
        np.testing.assert_allclose(feature[end], expected, rtol=1e-10, atol=1e-14)
    assert np.isnan(feature[63])


@pytest.mark.parametrize("family", ["skewness", "autocorrelation", "bollinger", "rsi"])
def test_a_constant_price_leaves_shapes_undefined(features_of, family):
    """Where nothing moves, what divides by a spread is NaN; nothing is infinite."""
    features = features_of(family, close=np.full(300, 12.34))
    assert not any(np.isinf(column).any() for column in features.values())
    assert any(np.isnan(column[-1]) for column in features.values())


def test_calendar_of_five_centuries(features_of):
    """Every feature agrees with Python's own calendar, leap years and turns of centuries included."""
    days = np.concatenate((np.arange(-62_000, 100_000, 173), np.arange(10_900, 11_400), np.arange(47_450, 47_650)))
    days.sort()
    ts_ns = (np.unique(days) + 1) * 86_400_000_000_000
    features = features_of("calendar", close=np.ones(ts_ns.size), ts_ns=ts_ns)
    for row, day in enumerate(np.unique(days)):
        date = dt.date(1970, 1, 1) + dt.timedelta(days=int(day))
        following = dt.date(date.year + date.month // 12, date.month % 12 + 1, 1)
        in_month = (following - date.replace(day=1)).days
        in_year = (dt.date(date.year + 1, 1, 1) - dt.date(date.year, 1, 1)).days
        assert features["day_of_week"][row] == date.weekday()
        assert features["days_to_month_end"][row] == in_month - date.day
        assert features["month_position"][row] == pytest.approx((date.day - 1) / (in_month - 1), abs=1e-15)
        assert features["year_position"][row] == pytest.approx(
            (date.timetuple().tm_yday - 1) / (in_year - 1), abs=1e-15
        )


def test_time_of_day(features_of):
    """Where a day has several bars, the share of the UTC day gone at the close is a feature."""
    stamps = np.array([0.25, 0.5, 1.0]) * 86_400_000_000_000
    features = features_of("calendar", close=np.ones(3), ts_ns=stamps.astype(np.int64), bars_per_day=4.0)
    assert features["time_of_day"].tolist() == [0.25, 0.5, 1.0]
    assert features["day_of_week"].tolist() == [3, 3, 3]  # 1 January 1970, also for the bar that ends at midnight
