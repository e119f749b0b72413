"""What models learn from: features and labels of a span, cut where training must end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.core.protocols import FitMonitor, Model
from trader.models.base import min_known
from trader.models.labelling import label_panel
from trader.settings.sections import LabelSettings

__all__ = ["TrainingSet"]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """Features and labels of every symbol at every instant.

    Parameters
    ----------
    ts_ns : ndarray of shape (n_slices,)
        Close stamps, strictly increasing.
    closes : ndarray of shape (n_slices, n_symbols)
        NaN where a symbol has no bar.
    features : ndarray of shape (n_slices, n_symbols, n_features)
        As known at the close of each instant; NaN is missing.
    target : ndarray of shape (n_slices, n_symbols)
        What the models learn to predict; NaN is unknown.
    feature_names, symbols : tuple of str
        One a column, one a symbol.
    horizon : int
        Bars that the target looks ahead of its entry.
    fingerprint : str
        Of the data the set was made of.
    weight : ndarray of shape (n_slices, n_symbols), optional
        How much each label counts; None: all the same.
    """

    ts_ns: IntArray
    closes: FloatArray
    features: FloatArray
    target: FloatArray
    feature_names: tuple[str, ...]
    symbols: tuple[str, ...]
    horizon: int
    fingerprint: str = ""
    weight: FloatArray | None = None

    @classmethod
    def build(
        cls,
        features: FloatArray,
        feature_names: tuple[str, ...],
        closes: FloatArray,
        ts_ns: IntArray,
        *,
        horizon: int,
        labels: LabelSettings | None = None,
        highs: FloatArray | None = None,
        lows: FloatArray | None = None,
        end_ns: int | None = None,
        symbols: tuple[str, ...] = (),
        fingerprint: str = "",
        transform_target: Callable[[FloatArray], FloatArray] | None = None,
    ) -> TrainingSet:
        """Label the instants up to `end_ns` (inclusive; None takes all); see `trader.models.labelling`.

        Nothing after that end is read: labels that would look beyond it are unknown.

        Raises
        ------
        DataError
            If the shapes do not agree or the stamps do not rise.
        """
        _check_shapes(features, feature_names, closes, ts_ns)
        seen = ts_ns.size if end_ns is None else int(np.searchsorted(ts_ns, end_ns, side="right"))
        high, low = (None if prices is None else prices[:seen] for prices in (highs, lows))
        target, weight = label_panel(closes[:seen], horizon, labels or LabelSettings(), highs=high, lows=low)
        if transform_target is not None:
            target = transform_target(target)
        return cls(
            ts_ns=ts_ns[:seen],
            closes=closes[:seen],
            features=np.ascontiguousarray(features[:seen], dtype=np.float64),
            target=target,
            feature_names=tuple(feature_names),
            symbols=symbols or tuple(f"S{i}" for i in range(closes.shape[1])),
            horizon=horizon,
            fingerprint=fingerprint,
            weight=weight,
        )

    def __len__(self) -> int:
        return self.ts_ns.size

    @property
    def usable(self) -> BoolArray:
        """Where a label and half of the features are known, shape (n_slices, n_symbols)."""
        known: BoolArray = np.isfinite(self.features).sum(axis=2) >= min_known(len(self.feature_names))
        return np.isfinite(self.target) & known

    @property
    def first(self) -> int:
        """Position of the first instant with a usable row; the end of the warm-up."""
        return int(np.argmax(self.usable.any(axis=1)))

    def fit(
        self, model: Model, *, seed: int, instants: IntArray | None = None, monitor: FitMonitor | None = None
    ) -> Model:
        """Fit a model to the labels of all instants, or of some; see `trader.core.protocols.Model.fit_panel`."""
        return model.fit_panel(
            self.features,
            self.target,
            feature_names=self.feature_names,
            seed=seed,
            instants=instants,
            weight=self.weight,
            monitor=monitor,
        )


def _check_shapes(features: FloatArray, names: tuple[str, ...], closes: FloatArray, ts_ns: IntArray) -> None:
    if features.ndim != 3 or features.shape[2] != len(names):
        raise DataError(f"features have shape {features.shape}; (n_slices, n_symbols, {len(names)}) is needed")
    if closes.shape != features.shape[:2] or ts_ns.shape != features.shape[:1]:
        raise DataError(
            f"closes have shape {closes.shape} and ts_ns {ts_ns.shape}; "
            f"features of {features.shape} need {features.shape[:2]} and {features.shape[:1]}"
        )
    if ts_ns.size == 0 or np.any(np.diff(ts_ns) <= 0):
        raise DataError("ts_ns must hold at least one stamp and increase strictly")
