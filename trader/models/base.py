"""What all models of single rows share: schema checks, abstention, calibration, files.

A row model is a regression from one row of features to one score. Every model of this package keeps four rules:

- A feature that is NaN or infinite is missing. A row with fewer than half of its features known is not scored:
  the model abstains with NaN (the baseline, which reads few columns, where none of them is known).
- Scores of a batch are bit-identical to the scores of its rows one by one.
- Equal data, parameters and seed give equal models, whatever the number of threads.
- Its state is JSON and plain arrays (safetensors), or text of the library that fitted it; loading runs no code
  from the files.
"""

from __future__ import annotations

import abc
import copy
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, ModelError
from trader.core.protocols import FitMonitor, Forecast
from trader.models.calibration import MIN_ROWS, Calibration
from trader.models.kinds import MODELS, create, load_model, model_class, preset
from trader.models.rows import Labelled, Rows, Watch
from trader.models.saved import SavedModel
from trader.models.schema import check_asked, check_names, check_panel, check_schema, min_known

__all__ = [
    "MODELS",
    "ArrayModel",
    "check_names",
    "check_schema",
    "create",
    "load_model",
    "min_known",
    "model_class",
    "preset",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_M = TypeVar("_M", bound="ArrayModel")
_Teach = Callable[[_M, Rows, Watch | None], None]

_MIN_FIT_ROWS = 10


class ArrayModel(SavedModel, abc.ABC):
    """Base of row models whose state is a handful of arrays.

    A subclass names its hyperparameters in `PARAMS` (constructor keywords and attributes of the same name) and
    what it learns in `ARRAYS` (attributes), and implements `_fit` and `_scores`.
    """

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({"ci": {}, "demo": {}, "full": {}})
    """Hyperparameters by preset; all models have `ci`, `demo` and `full`."""

    context: ClassVar[int] = 1

    @abc.abstractmethod
    def _fit(self, rows: Rows, names: tuple[str, ...], seed: int, watch: Watch | None) -> None:
        """Learn; a watch that returns False ends the fit with what was learnt so far."""

    @abc.abstractmethod
    def _scores(self, features: FloatArray) -> FloatArray:
        """Score checked rows."""

    def _shorten(self, steps: int) -> None:
        """Take away what a fit of no more than so many steps does not do."""

    def fit(
        self,
        features: FloatArray,
        target: FloatArray,
        *,
        feature_names: tuple[str, ...],
        seed: int = 0,
        weight: FloatArray | None = None,
        monitor: FitMonitor | None = None,
    ) -> Self:
        """Learn; rows without a finite target or with fewer than half of the features known are left out.

        Parameters
        ----------
        features : ndarray of shape (n_rows, n_features)
            In order of time. NaN and infinite are missing.
        target : ndarray of shape (n_rows,)
            NaN is unknown.
        feature_names : tuple of str
            One a column, no two alike.
        seed : int
            Of any randomness in the fit.
        weight : ndarray of shape (n_rows,), optional
            How much a row counts, not negative; None is 1.
        monitor : callable, optional
            Told of each step and may end the fit; see `trader.core.protocols.FitMonitor`. With enough rows it
            watches the fit to the head of the rows, whose `validation_loss` is that of the rows held out; the
            fit to all rows follows and ends after as many steps, as do later fits of the same object.

        Raises
        ------
        DataError
            If the shapes do not agree, names repeat or a weight is not allowed.
        ModelError
            If fewer than ten rows are left to learn from.
        """
        names = tuple(feature_names)
        rows = check_schema(features, names)
        y = np.asarray(target, dtype=np.float64)
        if y.shape != (rows.shape[0],):
            raise DataError(f"target has shape {y.shape}; features of {rows.shape[0]} rows need ({rows.shape[0]},)")
        return self.fit_panel(
            rows[:, None],
            y[:, None],
            feature_names=names,
            seed=seed,
            weight=None if weight is None else np.asarray(weight, dtype=np.float64).reshape(-1, 1),
            monitor=monitor,
        )

    def fit_panel(
        self,
        features: FloatArray,
        target: FloatArray,
        *,
        feature_names: tuple[str, ...],
        seed: int = 0,
        instants: IntArray | None = None,
        weight: FloatArray | None = None,
        monitor: FitMonitor | None = None,
    ) -> Self:
        """Learn from the rows of a panel; see `trader.core.protocols.Model` and `fit`."""
        names = tuple(feature_names)
        chosen, weights = check_panel(features, target, names, instants, weight)
        labelled = Labelled.of(features[chosen], target[chosen], weights[chosen])
        self._learn(labelled, lambda model, rows, watch: model._fit(rows, names, seed, watch), monitor)
        self.feature_names = names
        return self

    def _learn(self, labelled: Labelled, teach: _Teach[Self], monitor: FitMonitor | None) -> None:
        """Teach a copy the head of the rows and calibrate it on the tail; then teach all rows for as many steps."""
        rows, head, tail = labelled.rows, labelled.head, labelled.tail
        if len(rows) < _MIN_FIT_ROWS:
            raise ModelError(
                f"{self.name} has {len(rows)} rows with a known target and features; {_MIN_FIT_ROWS} are needed"
            )
        kept = copy.copy(self)
        if min(len(head), len(tail)) < MIN_ROWS:
            teach(kept, rows, Watch(monitor, rows) if monitor else None)
            kept.calibration = None
        else:
            trial, watch = copy.copy(self), Watch(monitor, head, tail) if monitor else None
            teach(trial, head, watch)
            if watch is not None and watch.ended_at is not None:
                kept._shorten(watch.ended_at)
            teach(kept, rows, None)
            kept.calibration = Calibration.of(head, trial._scores(head.features), tail, trial._scores(tail.features))
        vars(self).update(vars(kept))

    def fit_more(
        self,
        features: FloatArray,  # noqa: ARG002
        target: FloatArray,  # noqa: ARG002
        *,
        feature_names: tuple[str, ...],  # noqa: ARG002
        n_trees: int,  # noqa: ARG002
        seed: int = 0,  # noqa: ARG002
        instants: IntArray | None = None,  # noqa: ARG002
        weight: FloatArray | None = None,  # noqa: ARG002
    ) -> Self:
        """Train further; only boosted trees can, see `trader.models.tree_model`. Others raise ModelError."""
        raise ModelError(f"{self.name} cannot be trained further; fit it again on all that is to be learnt")

    def predict(self, features: FloatArray) -> FloatArray:
        """Return scores of shape (n_rows,); NaN where the model abstains.

        Raises
        ------
        ModelError
            If the model is not fitted.
        DataError
            If the number of columns is not the fitted one.
        """
        if not self.feature_names:
            raise ModelError(f"{self.name} is not fitted; call fit or load before predict")
        return self._scores(check_schema(features, self.feature_names))

    def predict_panel(self, features: FloatArray, n_context: int = 0) -> FloatArray:
        """Score the rows of all but the first `n_context` instants; see `trader.core.protocols.Model`."""
        rows, shape = self._asked(features, n_context)
        return self._scores(rows).reshape(shape)

    def forecast(self, features: FloatArray, n_context: int = 0) -> Forecast:
        """Return scores, chances, quantiles and volatility; see `trader.models.calibration`.

        Raises
        ------
        ModelError
            If the model is not fitted, or was fitted on too few rows to hold some out for a calibration.
        DataError
            If the features are not a panel of the fitted schema.
        """
        rows, shape = self._asked(features, n_context)
        if self.calibration is None:
            raise ModelError(
                f"{self.name} has no calibration to forecast with: its fit left fewer than {MIN_ROWS} rows "
                "before or in the held-out fifth"
            )
        return self.calibration.forecast(rows, self._scores(rows), shape)

    def _asked(self, features: FloatArray, n_context: int) -> tuple[FloatArray, tuple[int, int]]:
        """Return the rows of the instants that are asked for, and the shape of the answer."""
        if not self.feature_names:
            raise ModelError(f"{self.name} is not fitted; call fit_panel or load before it is asked")
        check_asked(features, n_context, len(self.feature_names))
        asked: FloatArray = np.ascontiguousarray(features[n_context:], dtype=np.float64)
        return asked.reshape(-1, asked.shape[2]), (asked.shape[0], asked.shape[1])
