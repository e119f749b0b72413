"""Indicators against published tables, rounded as they were printed."""

from __future__ import annotations

import numpy as np

# The worked examples of StockCharts ChartSchool: 14-day RSI and 14-day ATR of QQQQ.
RSI_CLOSES = """
44.3389 44.0902 44.1497 43.6124 44.3278 44.8264 45.0955 45.4245 45.8433 46.0826 45.8931 46.0328 45.6140 46.2820 46.2820
46.0028 46.0328 46.4116 46.2222 45.6439 46.2122 46.2521 45.7137 46.4515 45.7835 45.3548 44.0288 44.1783 44.2181 44.5672
43.4205 42.6628 43.1314
"""
RSI = """
70.53 66.32 66.55 69.41 66.36 57.97 62.93 63.26 56.06 62.38 54.71 50.42 39.99 41.46 41.87 45.46 37.30 33.08 37.77
"""
ATR_HIGHS = """
48.70 48.72 48.90 48.87 48.82 49.05 49.20 49.35 49.92 50.19 50.12 49.66 49.88 50.19 50.36 50.57 50.65 50.43 49.63 50.33
50.29 50.17 49.32 48.50 48.32 46.80 47.80 48.39 48.66 48.79
"""
ATR_LOWS = """
47.79 48.14 48.39 48.37 48.24 48.64 48.94 48.86 49.50 49.87 49.20 48.90 49.43 49.73 49.26 50.09 50.30 49.21 48.98 49.61
49.20 49.43 48.08 47.64 41.55 44.28 47.31 47.20 47.90 47.73
"""
ATR_CLOSES = """
48.16 48.61 48.75 48.63 48.74 49.03 49.07 49.32 49.91 50.13 49.53 49.50 49.75 50.03 50.31 50.52 50.41 49.34 49.37 50.23
49.24 49.93 48.43 48.18 46.57 45.41 47.77 47.72 48.62 47.85
"""
# As the JavaScript library technicalindicators has it for these bars: true ranges begin on the second day.
ATR = "0.5679 0.5616 0.5465 0.5946 0.5985 0.6244 0.6576 0.6771 0.7609 0.7679 1.1967 1.2912 1.3697 1.3568 1.3271 1.3080"


def numbers(text: str) -> np.ndarray:
    return np.array(text.split(), float)


def test_rsi_of_the_published_table(features_of):
    """Wilder's RSI equals the printed values to both decimals."""
    rsi = features_of("rsi", close=numbers(RSI_CLOSES))["rsi_14d"]
    assert np.isnan(rsi[:14]).all()
    np.testing.assert_allclose(rsi[14:], numbers(RSI), atol=0.00501)


def test_atr_of_the_published_table(features_of):
    """Wilder's ATR equals the published values to all four decimals."""
    close = numbers(ATR_CLOSES)
    relative = features_of("atr", high=numbers(ATR_HIGHS), low=numbers(ATR_LOWS), close=close)["atr_14d"]
    assert np.isnan(relative[:14]).all()
    np.testing.assert_allclose((relative * close)[14:], numbers(ATR), atol=0.0000501)
