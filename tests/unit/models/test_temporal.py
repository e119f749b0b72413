"""The encoding of time: what is close in time is close in value."""

from __future__ import annotations

import numpy as np
import pytest

from trader.models.temporal import CALENDAR, calendar_width, encode_calendar

NAMES = tuple(CALENDAR)


def _encode(name: str, values: np.ndarray) -> np.ndarray:
    return encode_calendar(np.asarray(values, dtype=float)[:, None, None], (name,))[:, 0]


@pytest.mark.parametrize("name", [name for name, column in CALENDAR.items() if column.kind != "decay"])
def test_circles_close(name: str) -> None:
    """The end of a period is its beginning, small steps stay small, and no two moments are alike."""
    period = CALENDAR[name].period
    at = np.linspace(0.0, period, 701)
    encoded = _encode(name, at)
    assert encoded[-1] == pytest.approx(encoded[0], abs=1e-9)
    steps = np.linalg.norm(np.diff(encoded, axis=0), axis=1)
    assert steps.max() < 0.15
    distances = np.linalg.norm(encoded[:-1, None] - encoded[None, :-1], axis=2)
    apart = np.abs(at[:-1, None] - at[None, :-1])
    assert distances[np.minimum(apart, period - apart) > 0.05 * period].min() > 0.1


def test_a_linear_layer_makes_any_curve_of_the_session() -> None:
    """The hat functions of a clock interpolate between full hours, midnight included."""
    hours = np.random.default_rng(0).normal(size=24)
    at = np.arange(0.0, 24.0, 0.25)
    hats = _encode("time_of_day", at / 24.0)[:, -24:]
    assert hats.sum(axis=1) == pytest.approx(1.0)
    assert hats @ hours == pytest.approx(np.interp(at, np.arange(25), [*hours, hours[0]]))


def test_the_end_of_a_month_fades() -> None:
    """Decays are one on the last day and fall with the days to it."""
    encoded = _encode("days_to_month_end", np.arange(30))
    assert encoded[0].tolist() == [1.0, 1.0, 1.0]
    assert (np.diff(encoded, axis=0) < 0).all()


def test_unknown_moments_are_zero() -> None:
    """NaN and infinity encode as nothing; columns that are no calendar are left out."""
    panel = np.full((2, 3, len(NAMES)), np.nan)
    panel[1] = np.inf
    encoded = encode_calendar(panel, NAMES)
    assert encoded.shape == (2, 3, calendar_width(NAMES))
    assert not encoded.any()
    assert encode_calendar(panel, tuple("abcde")).shape == (2, 3, 0)
