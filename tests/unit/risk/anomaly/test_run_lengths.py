"""Run lengths of control charts beside the textbooks and beside simulation with the charts themselves."""

from __future__ import annotations

import numpy as np
import pytest

from risk.anomaly.control import cusum_run_length, ewma_run_length, shewhart_run_length
from risk.anomaly.kernels import chart


@pytest.mark.parametrize(
    ("shift", "published"),
    [(0.0, 370.4), (0.5, 155.22), (1.0, 43.89), (1.5, 14.97), (2.0, 6.30), (3.0, 2.00)],
)
def test_shewhart_as_published(shift: float, published: float) -> None:
    """Three-sigma limits, Montgomery's *Statistical quality control*, tables of chapter 6 and 9."""
    assert shewhart_run_length(3.0, shift) == pytest.approx(published, rel=5e-3)


@pytest.mark.parametrize(
    ("limit", "shift", "published"),
    [
        (4.0, 0.0, 168.0),
        (4.0, 0.25, 74.2),
        (4.0, 0.5, 26.6),
        (4.0, 0.75, 13.3),
        (4.0, 1.0, 8.38),
        (4.0, 1.5, 4.75),
        (4.0, 2.0, 3.34),
        (4.0, 3.0, 2.19),
        (5.0, 0.0, 465.0),
        (5.0, 0.25, 139.0),
        (5.0, 0.5, 38.0),
        (5.0, 0.75, 17.0),
        (5.0, 1.0, 10.4),
        (5.0, 1.5, 5.75),
        (5.0, 2.0, 4.01),
        (5.0, 3.0, 2.57),
    ],
)
def test_cusum_as_published(limit: float, shift: float, published: float) -> None:
    """Two-sided with k = .5, Montgomery's table 9.3 (from Lucas 1976)."""
    assert cusum_run_length(limit, 0.5, shift) == pytest.approx(published, rel=6e-3)


@pytest.mark.parametrize(
    ("limit", "weight", "published"),
    [
        (3.054, 0.40, (500.0, 224.0, 71.2, 28.4, 14.3, 5.9, 3.5)),
        (2.998, 0.25, (500.0, 170.0, 48.2, 20.1, 11.1, 5.5, 3.6)),
        (2.962, 0.20, (500.0, 150.0, 41.8, 18.2, 10.5, 5.5, 3.7)),
        (2.814, 0.10, (500.0, 106.0, 31.3, 15.9, 10.3, 6.1, 4.4)),
        (2.615, 0.05, (500.0, 84.1, 28.8, 16.4, 11.4, 7.1, 5.2)),
    ],
)
def test_ewma_as_published(limit: float, weight: float, published: tuple[float, ...]) -> None:
    """Lucas and Saccucci (1990), Montgomery's table 9.11; shifts of 0, .25, .5, .75, 1, 1.5 and 2."""
    for shift, expected in zip((0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0), published, strict=True):
        assert ewma_run_length(limit, weight, shift) == pytest.approx(expected, rel=1.5e-2)


@pytest.mark.parametrize(
    ("weight", "slack", "limit", "expected"),
    [
        (0.0, 0.5, 4.0, cusum_run_length(4.0, 0.5, 1.0)),
        (0.2, 0.0, 2.962 * np.sqrt(0.2 / 1.8), ewma_run_length(2.962, 0.2, 1.0)),
        (1.0, 0.0, 3.0, shewhart_run_length(3.0, 1.0)),
    ],
)
def test_the_charts_run_as_long(weight: float, slack: float, limit: float, expected: float) -> None:
    """2,000 charts side by side, a deviation off: mean run length within four standard errors of the formula's."""
    values = np.random.default_rng(7).normal(1.0, 1.0, (600, 2000))
    beyond = chart(values, np.zeros(2000), np.zeros(2000), weight, slack) > limit
    assert beyond.any(axis=0).all()
    lengths = np.argmax(beyond, axis=0) + 1
    assert lengths.mean() == pytest.approx(expected, abs=4 * lengths.std() / np.sqrt(lengths.size))


def test_in_control_lengths_vary_like_geometric_ones() -> None:
    """Without a shift, a Shewhart chart's run length has a deviation near its mean."""
    values = np.random.default_rng(8).normal(size=(1500, 1000))
    beyond = chart(values, np.zeros(1000), np.zeros(1000), 1.0, 0.0) > 2.5
    lengths = np.argmax(beyond, axis=0) + 1
    assert lengths.mean() == pytest.approx(shewhart_run_length(2.5), rel=0.12)
    assert lengths.std() == pytest.approx(lengths.mean(), rel=0.15)
