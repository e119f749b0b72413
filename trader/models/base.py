"""The registry of models, and what all of them share: schema checks, abstention, files.

A model is a regression from one row of features to one score. Every model of this package keeps four rules:

- A feature that is NaN or infinite is missing. A row with fewer than half of its features known is not scored:
  the model abstains with NaN (the baseline, which reads few columns, where none of them is known).
- Scores of a batch are bit-identical to the scores of its rows one by one.
- Equal data, parameters and seed give equal models, whatever the number of threads.
- Its state is JSON and plain arrays (safetensors); loading runs no code from the files.
"""

from __future__ import annotations

import abc
import difflib
import importlib
import inspect
import json
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, ModelError, NotFoundError
from trader.core.protocols import FitMonitor, Model

__all__ = ["MODELS", "ArrayModel", "check_schema", "create", "min_known", "model_class"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MODELS: dict[str, str] = {
    "momentum": "trader.models.momentum:Momentum",
    "linear": "trader.models.linear:Linear",
    "boosting": "trader.models.boosting:Boosting",
}
"""Registered models: name to `module:class`; a module is imported when its model is asked for."""

_STATE_FILE = "model.json"
_ARRAYS_FILE = "arrays.safetensors"
_MIN_FIT_ROWS = 10


def model_class(name: str) -> type[Model]:
    """Return the class registered as `name`; an unknown one raises NotFoundError with the closest known."""
    if name not in MODELS:
        close = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise NotFoundError(f"model {name!r} is unknown; known are {', '.join(sorted(MODELS))}{hint}")
    module, _, attribute = MODELS[name].partition(":")
    found: type[Model] = getattr(importlib.import_module(module), attribute)
    return found


def create(name: str, **params: Any) -> Model:
    """Build an unfitted model.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    **params
        Hyperparameters of that model.

    Raises
    ------
    NotFoundError
        If no model has that name.
    DataError
        If the model has no such hyperparameter, or its value is not allowed.

    Examples
    --------
    >>> create("linear", alpha=0.5).name
    'linear'
    """
    cls = model_class(name)
    allowed = [p for p in inspect.signature(cls).parameters if p != "self"]
    if unknown := sorted(set(params) - set(allowed)):
        raise DataError(f"model {name!r} has no parameter {unknown[0]!r}; allowed are {', '.join(allowed)}")
    return cls(**params)


def check_schema(features: FloatArray, feature_names: tuple[str, ...]) -> FloatArray:
    """Return `features` as C-contiguous float64 rows of the fitted schema.

    Raises
    ------
    DataError
        If `features` is not of shape (n_rows, len(feature_names)).
    """
    rows: FloatArray = np.ascontiguousarray(features, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(feature_names):
        raise DataError(
            f"features have shape {rows.shape}; the model was fitted on {len(feature_names)} columns "
            f"and takes (n_rows, {len(feature_names)})"
        )
    return rows


def min_known(n_columns: int) -> int:
    """Return how many of `n_columns` features must be known for a row to be scored: half of them, rounded up."""
    return max(1, (n_columns + 1) // 2)


class ArrayModel(abc.ABC):
    """Base of models whose state is a handful of arrays.

    A subclass names its hyperparameters in `PARAMS` (constructor keywords and attributes of the same name) and
    its fitted arrays in `ARRAYS` (attributes), and implements `_fit` and `_scores`.
    """

    name: ClassVar[str]
    PARAMS: ClassVar[tuple[str, ...]]
    ARRAYS: ClassVar[tuple[str, ...]]

    feature_names: tuple[str, ...] = ()

    context: ClassVar[int] = 1

    @abc.abstractmethod
    def _fit(self, features: FloatArray, target: FloatArray, names: tuple[str, ...], seed: int) -> None:
        """Learn from rows with a known target and enough known features; missing is NaN."""

    @abc.abstractmethod
    def _scores(self, features: FloatArray) -> FloatArray:
        """Score checked rows."""

    def fit(self, features: FloatArray, target: FloatArray, *, feature_names: tuple[str, ...], seed: int = 0) -> Self:
        """Learn; rows without a finite target or with fewer than half of the features known are left out.

        Parameters
        ----------
        features : ndarray of shape (n_rows, n_features)
            NaN and infinite are missing.
        target : ndarray of shape (n_rows,)
            NaN is unknown.
        feature_names : tuple of str
            One a column, no two alike.
        seed : int
            Of any randomness in the fit.

        Raises
        ------
        DataError
            If the shapes do not agree or names repeat.
        ModelError
            If fewer than ten rows are left to learn from.
        """
        names = tuple(feature_names)
        rows = check_schema(features, names)
        y = np.asarray(target, dtype=np.float64)
        if y.shape != (rows.shape[0],):
            raise DataError(f"target has shape {y.shape}; features of {rows.shape[0]} rows need ({rows.shape[0]},)")
        if len(set(names)) != len(names):
            raise DataError(f"feature_names={names!r} hold a name more than once")
        finite = np.isfinite(rows)
        usable = np.isfinite(y) & (finite.sum(axis=1) >= min_known(len(names)))
        if usable.sum() < _MIN_FIT_ROWS:
            raise ModelError(
                f"{self.name} has {usable.sum()} rows with a known target and features; {_MIN_FIT_ROWS} are needed"
            )
        self._fit(np.where(finite[usable], rows[usable], np.nan), y[usable], names, seed)
        self.feature_names = names
        return self

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
        """Learn from the rows of a panel; see `trader.core.protocols.Model`."""
        chosen = slice(None) if instants is None else instants
        return self.fit(
            features[chosen].reshape(-1, features.shape[2]),
            target[chosen].reshape(-1),
            feature_names=feature_names,
            seed=seed,
        )

    def predict_panel(self, features: FloatArray, n_context: int = 0) -> FloatArray:
        """Score the rows of all but the first `n_context` instants; see `trader.core.protocols.Model`."""
        asked = features[n_context:]
        return self.predict(asked.reshape(-1, asked.shape[2])).reshape(asked.shape[:2])

    def save(self, folder: Path) -> None:
        """Write `model.json` and `arrays.safetensors` into `folder`, which must exist."""
        from safetensors.numpy import save_file

        if not self.feature_names:
            raise ModelError(f"{self.name} is not fitted; only a fitted model can be saved")
        params = {key: getattr(self, key) for key in self.PARAMS}
        state = {"name": self.name, "feature_names": list(self.feature_names), "params": params}
        (folder / _STATE_FILE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        save_file({key: np.ascontiguousarray(getattr(self, key)) for key in self.ARRAYS}, folder / _ARRAYS_FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; anything else raises ModelError naming the folder."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            state = json.loads((folder / _STATE_FILE).read_text(encoding="utf-8"))
            arrays = load_file(folder / _ARRAYS_FILE)
            if state["name"] != cls.name:
                raise ModelError(f"{folder} holds a {state['name']!r} model; {cls.name!r} was expected")
            model = cls(**{key: state["params"][key] for key in cls.PARAMS})
            for key in cls.ARRAYS:
                setattr(model, key, arrays[key])
            model.feature_names = tuple(state["feature_names"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError, DataError) as error:
            raise ModelError(f"{folder} does not hold a readable {cls.name!r} model: {error!r}") from error
        return model
