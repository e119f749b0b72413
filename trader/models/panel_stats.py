"""What a fit must know of a panel before it reads it: moments of features and labels, summed up by file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from trader.models.moments import Moments

__all__ = ["PanelStats"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PanelStats:
    """Figures of the rows whose label counts: one row is one symbol at one instant.

    Parameters
    ----------
    features : Moments
        Of the features; `n_rows` is the number of labels.
    weight, power : float
        Sum of the weights of the labels, and of weight times label squared.
    first, end : int
        Position of the first instant with a label, and the one after the last; both 0 where there is none.
    """

    features: Moments
    weight: float
    power: float
    first: int
    end: int

    @classmethod
    def of(
        cls,
        start: int,
        features: NDArray[np.floating],
        target: NDArray[np.floating],
        weight: NDArray[np.floating],
    ) -> Self:
        """Return the figures of some instants.

        Parameters
        ----------
        start : int
            Position of the first of them.
        features : ndarray of shape (n_slices, n_symbols, n_features)
        target, weight : ndarray of shape (n_slices, n_symbols)
            A label counts where its weight is positive.
        """
        counted = weight > 0
        labels, weights = target[counted].astype(np.float64), weight[counted].astype(np.float64)
        at = np.flatnonzero(counted.any(axis=1))
        return cls(
            features=Moments.of(features[counted]),
            weight=float(weights.sum()),
            power=float((weights * labels**2).sum()),
            first=start + int(at[0]) if at.size else 0,
            end=start + int(at[-1]) + 1 if at.size else 0,
        )

    @classmethod
    def merged(cls, parts: Iterable[Self], n_features: int) -> Self:
        """Return the figures of all parts."""
        known = [part for part in parts if part.n_labels]
        return cls(
            features=Moments.merged((part.features for part in known), n_features),
            weight=math.fsum(part.weight for part in known),
            power=math.fsum(part.power for part in known),
            first=min((part.first for part in known), default=0),
            end=max((part.end for part in known), default=0),
        )

    @property
    def n_labels(self) -> int:
        """Labels that count."""
        return self.features.n_rows

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return plain | {"features": self.features.to_dict()}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Build from what `to_dict` returned; a missing entry raises KeyError."""
        return cls(
            features=Moments.from_dict(given["features"]),
            weight=float(given["weight"]),
            power=float(given["power"]),
            first=int(given["first"]),
            end=int(given["end"]),
        )
