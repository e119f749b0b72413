"""Features of volume, flow and spread against plain formulas."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def bars(closes):
    rng = np.random.default_rng(8)
    n = closes.size
    volume = np.round(np.exp(rng.normal(10, 1, n)))
    return {
        "close": closes,
        "volume": volume,
        "vwap": closes * (1 + 0.002 * rng.normal(size=n)),
        "buy_volume": volume * rng.random(n),
        "spread": 0.01 + 0.01 * rng.random(n),
    }


def test_volume_scores(features_of, bars):
    """They are z-scores of log volume and log value among the last 21 bars."""
    features = features_of("volume", close=bars["close"], volume=bars["volume"])
    for name, x in (("volume_z_21d", bars["volume"]), ("dollar_volume_z_21d", bars["volume"] * bars["close"])):
        window = np.log1p(x[-21:])
        np.testing.assert_allclose(features[name][-1], (window[-1] - window.mean()) / window.std(ddof=1), rtol=1e-10)


def test_amihud(features_of, bars):
    """It is the mean of |return| over millions traded; a bar without trades is left out and has none itself."""
    close, volume = bars["close"], bars["volume"].copy()
    volume[-3] = 0.0
    feature = features_of("amihud", close=close, volume=volume)["amihud_21d"]
    moves = np.abs(np.diff(np.log(close))) / (close * volume / 1e6 + (volume == 0))[1:]
    kept = np.delete(moves, -3)
    np.testing.assert_allclose(feature[-1], kept[-21:].mean(), rtol=1e-11)
    assert np.isnan(feature[-3])


def test_flow_imbalance(features_of, bars):
    """All bought is 1, all sold -1; the rolling one weighs bars by their volume."""
    volume, bought = bars["volume"], bars["buy_volume"].copy()
    bought[-1], bought[-2] = volume[-1], 0.0
    features = features_of("flow", close=bars["close"], volume=volume, buy_volume=bought)
    assert features["flow_imbalance"][-2:].tolist() == [-1, 1]
    expected = (2 * bought[-21:] - volume[-21:]).sum() / volume[-21:].sum()
    np.testing.assert_allclose(features["flow_imbalance_21d"][-1], expected, rtol=1e-10)


def test_vwap_distance(features_of, bars):
    """The rolling vwap weighs each bar's by its volume."""
    columns = {name: bars[name] for name in ("close", "volume", "vwap")}
    features = features_of("vwap", **columns)
    close, volume, vwap = (x[-21:] for x in columns.values())
    np.testing.assert_allclose(features["vwap_distance"][-1], close[-1] / vwap[-1] - 1, rtol=1e-10)
    over = close[-1] / np.average(vwap, weights=volume) - 1
    np.testing.assert_allclose(features["vwap_distance_21d"][-1], over, rtol=1e-10)


def test_relative_spread(features_of, bars):
    """The spread is relative to the close; the rolling one is the mean of these."""
    features = features_of("spread", close=bars["close"], spread=bars["spread"])
    relative = bars["spread"] / bars["close"]
    np.testing.assert_allclose(features["relative_spread"], relative, rtol=1e-13)
    np.testing.assert_allclose(features["relative_spread_21d"][-1], relative[-21:].mean(), rtol=1e-12)
