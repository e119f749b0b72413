"""When: calendar columns and the age of the last bar as functions that a linear layer can use.

The calendar features of `trader.features.dates` are numbers on a circle or a scale: Friday (4) is next to Monday
(0), and the last day of a month is next to the first of another. Each is expanded into functions in which what is
close in time is close in value:

- `day_of_week`, `month_position`, `year_position`: sines and cosines of the first harmonics of their period
  (Fourier features);
- `days_to_month_end`: decays ``exp(-days / τ)``, which are large only near the turn of the month;
- `time_of_day`: harmonics for the hour, and hat functions on every hour, of which a linear layer makes any function
  that is linear between full hours: the sessions of an exchange, with their opening and closing;
- the age of the symbol's last bar: decays ``exp(-bars / τ)``.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AGE_DECAYS",
    "CALENDAR",
    "CLOCK_HOURS",
    "MONTH_END_DECAYS",
    "TimeColumn",
    "calendar_width",
    "encode_calendar",
]

FloatArray = NDArray[np.float64]

AGE_DECAYS = (1.0, 4.0, 16.0, 64.0)
"""Bars over which the encoding of an age decays to 1/e."""

MONTH_END_DECAYS = (1.0, 3.0, 10.0)
"""Days over which the encoding of the days to the month's end decays to 1/e."""

CLOCK_HOURS = 24
"""Hat functions of a clock."""


@dataclasses.dataclass(frozen=True, slots=True)
class TimeColumn:
    """How one calendar feature is expanded.

    Parameters
    ----------
    period : float
        In the feature's unit; unused by decays.
    harmonics : int
        Sines and cosines of so many multiples of the base frequency.
    kind : {"circle", "clock", "decay"}
        `clock` adds hat functions on every hour to the harmonics.
    """

    period: float
    harmonics: int
    kind: Literal["circle", "clock", "decay"] = "circle"

    @property
    def width(self) -> int:
        """Functions that the feature becomes."""
        if self.kind == "decay":
            return len(MONTH_END_DECAYS)
        return 2 * self.harmonics + (CLOCK_HOURS if self.kind == "clock" else 0)

    def __call__(self, values: FloatArray) -> FloatArray:
        """Return the functions of `values` (...), shape (..., width); all 0 where the value is NaN."""
        known = np.isfinite(values)[..., None]
        x = np.where(known, values[..., None], 0.0)
        if self.kind == "decay":
            decayed: FloatArray = known * np.exp(-np.maximum(x, 0.0) / np.array(MONTH_END_DECAYS))
            return decayed
        angle = 2.0 * np.pi * x / self.period * np.arange(1, self.harmonics + 1)
        parts = [np.sin(angle), np.cos(angle)]
        if self.kind == "clock":
            away = np.abs(x / self.period * CLOCK_HOURS - np.arange(CLOCK_HOURS))
            parts.append(np.maximum(0.0, 1.0 - np.minimum(away, CLOCK_HOURS - away)))
        expanded: FloatArray = known * np.concatenate(parts, axis=-1)
        return expanded


CALENDAR: dict[str, TimeColumn] = {
    "day_of_week": TimeColumn(7.0, 3),
    "month_position": TimeColumn(1.0, 2),
    "days_to_month_end": TimeColumn(0.0, 0, "decay"),
    "year_position": TimeColumn(1.0, 4),
    "time_of_day": TimeColumn(1.0, 4, "clock"),
}
"""The calendar features that are known by name, and how each is expanded."""


def calendar_width(names: tuple[str, ...]) -> int:
    """Return how many columns `encode_calendar` gives for features of these names."""
    return sum(column.width for name, column in CALENDAR.items() if name in names)


def encode_calendar(features: FloatArray, names: tuple[str, ...]) -> FloatArray:
    """Expand the calendar features among the columns of a panel.

    Parameters
    ----------
    features : ndarray of shape (n_slices, n_symbols, n_features)
    names : tuple of str
        One a column; columns that `CALENDAR` does not know are left out.

    Returns
    -------
    ndarray of shape (n_slices, n_symbols, calendar_width(names))
        In [-1, 1]; 0 where the feature is not finite.

    Examples
    --------
    >>> monday, sunday, wednesday = encode_calendar(np.array([[[0.0]], [[6.0]], [[2.0]]]), ("day_of_week",))[:, 0]
    >>> bool(np.linalg.norm(monday - sunday) < np.linalg.norm(monday - wednesday))
    True
    """
    parts = [column(features[..., names.index(name)]) for name, column in CALENDAR.items() if name in names]
    return np.concatenate(parts, axis=-1) if parts else np.empty((*features.shape[:2], 0))
