"""Gross, net, long and short exposure, in all and by group."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["UNGROUPED", "Exposure", "exposure", "exposure_by_group"]

FloatArray = NDArray[np.float64]

UNGROUPED = "(none)"
"""Group of the assets that were given none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Exposure:
    """Sums of weights, which are fractions of the portfolio's value.

    Parameters
    ----------
    gross : float
        Of absolute weights.
    net : float
        Of weights.
    long, short : float
        Of the positive ones, and of the negative ones taken positive.
    n_assets : int
        Weights that are not 0.
    """

    gross: float
    net: float
    long: float
    short: float
    n_assets: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return dataclasses.asdict(self)


def exposure(weights: FloatArray) -> Exposure:
    """Return the exposure of weights (n_assets,); NaN counts as 0.

    >>> exposure(np.array([0.6, -0.2, 0.0]))
    Exposure(gross=0.8, net=0.4, long=0.6, short=0.2, n_assets=2)
    """
    held = np.nan_to_num(np.asarray(weights, np.float64))
    long, short = float(held[held > 0.0].sum()), float(0.0 - held[held < 0.0].sum())
    return Exposure(long + short, round(long - short, 15), long, short, int(np.count_nonzero(held)))


def exposure_by_group(weights: FloatArray, names: Sequence[str], group_of: Mapping[str, str]) -> dict[str, Exposure]:
    """Return the exposure of each sector, currency or other group, the largest gross first.

    Parameters
    ----------
    weights : ndarray of shape (n_assets,)
    names : sequence of str
        The assets.
    group_of : mapping of str to str
        Group by asset; an asset without one is in `UNGROUPED`.

    Examples
    --------
    >>> found = exposure_by_group(np.array([0.5, 0.3, -0.1]), ["A", "B", "C"], {"A": "tech", "B": "oil", "C": "tech"})
    >>> {group: (part.gross, part.net) for group, part in found.items()}
    {'tech': (0.6, 0.4), 'oil': (0.3, 0.3)}
    """
    members: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        members.setdefault(group_of.get(name, UNGROUPED), []).append(i)
    found = {group: exposure(np.asarray(weights)[rows]) for group, rows in members.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1].gross))
