"""From a panel of features to the numbers a network reads: z-scores, missing flags, calendar and market columns."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trader.models.standard import column_moments
from trader.models.temporal import CALENDAR, calendar_width, encode_calendar

__all__ = ["CLIP", "Encoded", "PanelEncoder", "market_columns"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

CLIP = 5.0
"""Standard deviations at which z-scores are cut off."""

_VOLUME = r"(rank_)?(dollar_|relative_)?volume(_z)?(_\d+d)?"
_VOLATILITY = r"(rank_)?(ewma_)?volatility(_ratio)?(_\d+d)*|parkinson_\d+d|garman_klass_\d+d|yang_zhang_\d+d|atr_\d+d"
_RETURN = r"return(_1d|_1)?"


@dataclasses.dataclass(frozen=True, slots=True)
class Encoded:
    """A panel as a network reads it, symbol by symbol.

    Parameters
    ----------
    values : ndarray of float32, shape (n_symbols, n_slices, n_values)
        Clipped z-scores, 0 where missing, followed by flags that are 1 where a feature is missing.
    calendar : ndarray of float32, shape (n_symbols, n_slices, n_calendar)
    market : ndarray of float32, shape (n_symbols, n_slices, n_market)
        Volume and volatility, as z-scores; 0 where missing.
    known : ndarray of bool, shape (n_symbols, n_slices)
        Whether any feature is known.
    event : ndarray of bool, shape (n_symbols, n_slices)
        Whether the row is known and differs from the one before it: features of a symbol without a bar are those
        of its last bar.
    """

    values: NDArray[np.float32]
    calendar: NDArray[np.float32]
    market: NDArray[np.float32]
    known: BoolArray
    event: BoolArray


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PanelEncoder:
    """What encoding a panel takes, learnt from training rows.

    Parameters
    ----------
    names : tuple of str
        The fitted schema.
    columns : ndarray of int, shape (n_used,)
        Columns that become z-scores: those that vary in training and are no calendar features.
    center, inverse_scale : ndarray of shape (n_features,)
        Moments of training.
    flagged : ndarray of int, shape (n_flagged,)
        Columns with a missing flag: those of `columns` that were missing in some training rows and not in others.
        Where a column was never missing in training a flag would have a weight that nothing has taught.
    """

    names: tuple[str, ...]
    columns: IntArray
    center: FloatArray
    inverse_scale: FloatArray
    flagged: IntArray

    @classmethod
    def fit(cls, rows: FloatArray, names: tuple[str, ...]) -> Self:
        """Learn from training rows (n_rows, n_features); NaN and infinite are missing."""
        rows = np.where(np.isfinite(rows), rows, np.nan)
        missing: BoolArray = np.asarray(np.isnan(rows).any(axis=0))
        return cls.of_moments(*column_moments(rows), missing, names)

    @classmethod
    def of_moments(
        cls, center: FloatArray, inverse_scale: FloatArray, missing: BoolArray, names: tuple[str, ...]
    ) -> Self:
        """Build from what is known of training rows: moments of each column, and whether it is missing in some row."""
        columns = np.array([i for i, name in enumerate(names) if name not in CALENDAR and inverse_scale[i] > 0], int)
        return cls(names, columns, center, inverse_scale, columns[missing[columns]])

    @property
    def n_values(self) -> int:
        """Width of `Encoded.values`."""
        return self.columns.size + self.flagged.size

    @property
    def n_calendar(self) -> int:
        """Width of `Encoded.calendar`."""
        return calendar_width(self.names)

    @property
    def n_market(self) -> int:
        """Width of `Encoded.market`."""
        return self.market[0].size

    @property
    def market(self) -> tuple[IntArray, BoolArray]:
        """Market columns that vary, and which of them count by their size alone."""
        found = market_columns(self.names)
        usable = [(column, absolute) for column, absolute in found.items() if column in self.columns]
        return np.array([c for c, _ in usable], int), np.array([a for _, a in usable], bool)

    def __call__(self, features: FloatArray, n_past: int = 0) -> Encoded:
        """Encode a panel (n_slices, n_symbols, n_features), with `n_past` unknown instants before it."""
        unknown = np.full((n_past, *features.shape[1:]), np.nan)
        features = np.concatenate([unknown, features])
        finite = np.isfinite(features)
        z = np.where(finite, np.where(finite, features, 0.0) - self.center, 0.0) * self.inverse_scale
        z = np.clip(z, -CLIP, CLIP)
        market, absolute = self.market
        known = finite.any(axis=2)
        differs = np.ones_like(known)
        differs[1:] = ~((features[1:] == features[:-1]) | ~(finite[1:] | finite[:-1])).all(axis=2)
        return Encoded(
            values=_by_symbol(np.concatenate([z[..., self.columns], ~finite[..., self.flagged]], axis=-1)),
            calendar=_by_symbol(encode_calendar(features, self.names)),
            market=_by_symbol(np.where(absolute, np.abs(z[..., market]), z[..., market])),
            known=np.ascontiguousarray(known.T),
            event=np.ascontiguousarray((known & differs).T),
        )

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return what was learnt as named arrays."""
        fields = ("columns", "center", "inverse_scale", "flagged")
        return {field: getattr(self, field) for field in fields}

    @classmethod
    def from_arrays(cls, names: tuple[str, ...], arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Build from what `arrays` returned; a missing one raises KeyError."""
        return cls(
            names,
            arrays["columns"].astype(np.int64),
            arrays["center"].astype(np.float64),
            arrays["inverse_scale"].astype(np.float64),
            arrays["flagged"].astype(np.int64),
        )


def market_columns(names: tuple[str, ...]) -> dict[int, bool]:
    """Return the columns that say how busy and how wild a symbol's market is.

    These are volumes and volatilities, by name. Where no volume is known, the size of the last return stands in for
    it: volume and absolute returns move together (Karpoff 1987, "The relation between price changes and trading
    volume").

    Returns
    -------
    dict of int to bool
        Position of a column, and whether its size alone counts.

    Examples
    --------
    >>> market_columns(("return_1d", "rsi_14d", "volatility_21d"))
    {2: False, 0: True}
    >>> market_columns(("return_1d", "volume_z_21d"))
    {1: False}
    """
    volumes = [i for i, name in enumerate(names) if re.fullmatch(_VOLUME, name)]
    volatilities = [i for i, name in enumerate(names) if re.fullmatch(_VOLATILITY, name)]
    found = dict.fromkeys([*volumes, *volatilities], False)
    if not volumes:
        found |= {i: True for i, name in enumerate(names) if re.fullmatch(_RETURN, name)}
    return found


def _by_symbol(panel: FloatArray) -> NDArray[np.float32]:
    """Return (n_slices, n_symbols, width) as float32 of shape (n_symbols, n_slices, width)."""
    return np.ascontiguousarray(panel.transpose(1, 0, 2), dtype=np.float32)
