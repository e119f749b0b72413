"""Volatility estimators against closed forms, plain formulas and simulations of known volatility."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest


def test_close_to_close_is_the_sample_deviation(features_of, closes):
    """Each window is numpy's standard deviation of its log returns, and the ratio is that of two of them."""
    features = features_of("volatility", close=closes)
    returns = np.diff(np.log(closes))
    for days in (5, 21, 63, 252):
        np.testing.assert_allclose(features[f"volatility_{days}d"][-1], returns[-days:].std(ddof=1), rtol=1e-12)
        assert np.isnan(features[f"volatility_{days}d"][days - 1])
        assert np.isfinite(features[f"volatility_{days}d"][days])
    np.testing.assert_allclose(
        features["volatility_ratio_5d_63d"][-1], returns[-5:].std(ddof=1) / returns[-63:].std(ddof=1), rtol=1e-12
    )


def test_volatility_is_a_day_whatever_the_bar(features_of, closes):
    """With 4 bars a day the window holds 4 times as many bars, and the result is scaled by √4."""
    features = features_of("volatility", close=closes, bars_per_day=4.0)
    returns = np.diff(np.log(closes))
    np.testing.assert_allclose(features["volatility_21d"][-1], 2.0 * returns[-84:].std(ddof=1), rtol=1e-12)


def test_ewma_is_riskmetrics(features_of, closes):
    """The variance is pandas' weighted mean of squared returns with decay 0.94, from the 21st return on."""
    ewma = features_of("ewma", close=closes)["ewma_volatility"]
    squares = pd.Series(np.diff(np.log(closes)) ** 2)
    expected = np.sqrt(squares.ewm(alpha=0.06, adjust=True).mean())
    assert np.isnan(ewma[:21]).all()
    np.testing.assert_allclose(ewma[21:], expected[20:], rtol=1e-12)


def test_parkinson_of_a_constant_range(features_of):
    """If every bar spans ln(high / low) = x, the estimate is x / √(4 ln 2)."""
    low = np.linspace(90, 110, 40)
    high = low * math.exp(0.03)
    parkinson = features_of("parkinson", high=high, low=low, close=low)["parkinson_21d"]
    assert np.isnan(parkinson[19])
    np.testing.assert_allclose(parkinson[20:], 0.03 / math.sqrt(4 * math.log(2)), rtol=1e-12)


def test_garman_klass_of_constant_bars(features_of):
    """If every bar has the same range x and body y, the variance is x² / 2 - (2 ln 2 - 1) y²."""
    open_ = np.linspace(90, 110, 40)
    bars = {
        "open": open_,
        "high": open_ * math.exp(0.02),
        "low": open_ * math.exp(-0.01),
        "close": open_ * math.exp(0.015),
    }
    estimate = features_of("garman_klass", **bars)["garman_klass_21d"]
    expected = math.sqrt(0.03**2 / 2 - (2 * math.log(2) - 1) * 0.015**2)
    np.testing.assert_allclose(estimate[20:], expected, rtol=1e-12)


def plain_yang_zhang(opens, highs, lows, closes, n):
    """The estimator as the paper writes it, sum by sum, for the last n of the bars."""
    night = [math.log(opens[i] / closes[i - 1]) for i in range(len(opens) - n, len(opens))]
    up, down, body = (
        [math.log(x[i] / opens[i]) for i in range(len(opens) - n, len(opens))] for x in (highs, lows, closes)
    )
    mean_night, mean_body = math.fsum(night) / n, math.fsum(body) / n
    v_night = math.fsum((x - mean_night) ** 2 for x in night) / (n - 1)
    v_body = math.fsum((x - mean_body) ** 2 for x in body) / (n - 1)
    v_range = math.fsum(u * (u - c) + d * (d - c) for u, d, c in zip(up, down, body, strict=True)) / n
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    return math.sqrt(v_night + k * v_body + (1 - k) * v_range)


@pytest.fixture(scope="module")
def diffusion():
    """Days of a drifting Brownian motion with an overnight jump: variance 1e-4 by day and 0.5e-4 by night."""
    rng = np.random.default_rng(11)
    n_days, n_steps = 3000, 1000
    night = rng.normal(0.0, math.sqrt(0.5e-4), n_days)
    day = np.cumsum(rng.normal(0.002 / n_steps, 0.01 / math.sqrt(n_steps), (n_days, n_steps)), axis=1)
    start = np.concatenate(([0.0], np.cumsum(night + day[:, -1])[:-1])) + night
    path = start[:, None] + day
    return {
        "open": np.exp(start),
        "high": np.exp(np.maximum(path.max(axis=1), start)),
        "low": np.exp(np.minimum(path.min(axis=1), start)),
        "close": np.exp(path[:, -1]),
    }


def test_yang_zhang_is_the_formula_of_the_paper(features_of, diffusion):
    """The last value equals the paper's sums in plain Python; the first one needs 22 bars."""
    estimate = features_of("yang_zhang", **diffusion)["yang_zhang_21d"]
    bars = [diffusion[name].tolist() for name in ("open", "high", "low", "close")]
    np.testing.assert_allclose(estimate[-1], plain_yang_zhang(*bars, 21), rtol=1e-12)
    assert np.isnan(estimate[20])
    assert np.isfinite(estimate[21])


@pytest.mark.parametrize(
    ("family", "feature", "variance", "tolerance"),
    [
        ("volatility", "volatility_21d", 1.5e-4, 0.08),
        ("yang_zhang", "yang_zhang_21d", 1.5e-4, 0.04),
        # These see no overnight moves; the drift of 0.002 a day adds to theirs, ranges of 1,000 steps are too small.
        ("parkinson", "parkinson_21d", 1.0e-4, 0.06),
        ("garman_klass", "garman_klass_21d", 1.0e-4, 0.07),
    ],
)
def test_estimators_recover_a_known_variance(features_of, diffusion, family, feature, variance, tolerance):
    """The mean estimate of a simulated diffusion's variance is the true one, within its sampling and step error."""
    bars = {name: diffusion[name] for name in (("close",) if family == "volatility" else diffusion)}
    estimate = features_of(family, **bars)[feature]
    assert abs(np.nanmean(estimate**2) / variance - 1.0) < tolerance


def test_yang_zhang_is_more_efficient_than_close_to_close(features_of, diffusion):
    """On the same bars its variance estimates scatter less than half as much, which is what it is for."""
    plain = features_of("volatility", close=diffusion["close"])["volatility_21d"] ** 2
    better = features_of("yang_zhang", **diffusion)["yang_zhang_21d"] ** 2
    assert np.nanvar(better) < 0.5 * np.nanvar(plain)
