"""The features of the last instants: what a sequence model reads beside those of the instant it scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.snapshot import pack, unpack

__all__ = ["PastFeatures"]

FloatArray = NDArray[np.float64]

_NOTHING: FloatArray = np.empty((0, 0, 0))


class PastFeatures:
    """Keeps as many instants as a score looks back.

    Features of instants that were decided on are in the store, so the state holds only those of the warm-up, and
    only as long as they are still looked at.

    Parameters
    ----------
    context : int
        Instants that a score looks at, its own included.
    """

    def __init__(self, context: int) -> None:
        self.n_kept = context - 1
        """Instants that are kept at most."""
        self._kept = _NOTHING
        self._n_warm_up = 0

    def warm_up(self, features: FloatArray) -> None:
        """Take instants (n_slices, n_symbols, n_features) that nothing is decided on."""
        self._append(features)
        self._n_warm_up = len(self._kept)

    def add(self, features: FloatArray) -> None:
        """Take instants that were decided on."""
        dropped = self._append(features)
        self._n_warm_up = max(0, self._n_warm_up - dropped)

    def before(self, features: FloatArray) -> tuple[FloatArray, int]:
        """Return features with the kept instants before them, and how many those are."""
        if not len(self._kept):
            return features, 0
        return np.concatenate((self._kept, features)), len(self._kept)

    def state(self) -> dict[str, Any] | None:
        """Return the instants of the warm-up that are still kept, ready for JSON; None if there are none."""
        return pack(self._kept[: self._n_warm_up]) if self._n_warm_up else None

    def restore(self, state: Mapping[str, Any] | None, decided: FloatArray) -> None:
        """Go on from what `state` returned and the features (n_slices, n_symbols, n_features) of the last decisions."""
        self._kept, self._n_warm_up = _NOTHING, 0
        if state is not None:
            self.warm_up(unpack(state, np.float64))
        if len(decided):
            self.add(decided)

    def _append(self, features: FloatArray) -> int:
        """Keep the last instants and return how many were dropped for them."""
        if not self.n_kept:
            return 0
        whole = np.concatenate((self._kept, features)) if len(self._kept) else features
        self._kept = whole[-self.n_kept :].copy()
        return len(whole) - len(self._kept)
