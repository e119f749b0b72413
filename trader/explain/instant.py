"""The rows that are explained, with everything their scores depend on, and their scores when features change."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.explain.subject import Subject

__all__ = ["Instant", "LocalScore"]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_CELLS = 2**20  # features scored in one call, which bounds memory and how long a call holds the interpreter


@dataclasses.dataclass(frozen=True, slots=True)
class Instant:
    """All symbols at one instant, the past that sequence models read, and which symbols are explained.

    For a model of single rows the "symbols" may be any rows, of any instants. Made by `Instant.of`.

    Parameters
    ----------
    features : ndarray of shape (n_symbols, n_features)
        NaN is missing.
    past : ndarray of shape (n_past, n_symbols, n_features)
        Instants before it, oldest first.
    chosen : ndarray of shape (n_rows,)
        Positions of the symbols explained.
    """

    features: FloatArray
    past: FloatArray
    chosen: IntArray

    @classmethod
    def of(cls, features: FloatArray, *, past: FloatArray | None = None, chosen: IntArray | None = None) -> Self:
        """Check and copy; without `past` there is none, without `chosen` all symbols are explained.

        Raises
        ------
        DataError
            If the shapes do not agree or a position is none of the symbols.
        """
        features = _known(features)
        if features.ndim != 2:
            raise DataError(f"features have shape {features.shape}; (n_symbols, n_features) is needed")
        n_symbols, n_features = features.shape
        past = np.empty((0, n_symbols, n_features)) if past is None else _known(past)
        if past.ndim != 3 or past.shape[1:] != features.shape:
            raise DataError(f"past has shape {past.shape}; (n_past, {n_symbols}, {n_features}) is needed")
        positions = np.arange(n_symbols) if chosen is None else np.array(chosen, dtype=np.int64)
        if positions.ndim != 1 or ((positions < 0) | (positions >= n_symbols)).any():
            raise DataError(f"chosen={positions.tolist()} are not all among the {n_symbols} symbols")
        for array in (features, past, positions):
            array.flags.writeable = False
        return cls(features, past, positions)

    @property
    def rows(self) -> FloatArray:
        """Features of the symbols explained, shape (n_rows, n_features)."""
        return self.features[self.chosen]

    def panel(self, context: int) -> tuple[FloatArray, int]:
        """Return the features of the last `context` instants and how many of them are past."""
        n_past = min(self.past.shape[0], context - 1)
        return np.concatenate((self.past[self.past.shape[0] - n_past :], self.features[None])), n_past

    def digest(self, context: int) -> str:
        """Return the SHA-256 of what scores of that context depend on."""
        panel, _ = self.panel(context)
        return hashlib.sha256(repr(panel.shape).encode() + panel.tobytes() + self.chosen.tobytes()).hexdigest()


class LocalScore:
    """Scores of one symbol when its own features are replaced or shifted, all else being as it was.

    A sequence model reads a window of each feature: what happens to a feature happens to the symbol's whole window
    of it, and the windows of other symbols stay.

    Parameters
    ----------
    subject : Subject
    instant : Instant
    position : int
        Of the symbol.
    """

    def __init__(self, subject: Subject, instant: Instant, position: int) -> None:
        self._subject = subject
        self._panel, _ = instant.panel(subject.context)
        self._position = position
        self._own = self._panel[:, position]  # (n_instants, n_features)
        self.row: FloatArray = self._own[-1]

    def replaced(self, keep: BoolArray, fill: FloatArray) -> FloatArray:
        """Score with the features where `keep` is false replaced by those of `fill`; both (n, n_features)."""
        return self._in_parts(fill.shape[0], lambda part: np.where(keep[part, None], self._own, fill[part, None]))

    def shifted(self, by: FloatArray) -> FloatArray:
        """Score with each feature shifted by `by` (n, n_features)."""
        return self._in_parts(by.shape[0], lambda part: self._own + by[part, None])

    def _in_parts(self, n: int, windows: Callable[[slice], FloatArray]) -> FloatArray:
        """Score `n` versions of the symbol's own window, made part by part, shape (n_part, n_instants, n_features)."""
        found = np.empty(n)
        n_features = self._panel.shape[2]
        alone = self._subject.context == 1
        step = max(1, _CELLS // (n_features if alone else self._panel.size))
        for start in range(0, n, step):
            part = slice(start, min(start + step, n))
            own = windows(part)
            if alone:
                found[part] = self._subject.scores(own[None, :, -1])[0]
                continue
            panels = np.repeat(self._panel[None], own.shape[0], axis=0)
            panels[:, :, self._position] = own
            found[part] = self._subject.window_scores(panels)[:, self._position]
        return found


def _known(values: FloatArray) -> FloatArray:
    """Return a copy in which missing has one form, so that equal rows have equal digests."""
    copy = np.array(values, dtype=np.float64, order="C")
    copy[~np.isfinite(copy)] = np.nan
    return copy
