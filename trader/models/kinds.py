"""The registry of models: which kinds there are, how to build one, and their presets."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trader.core.errors import DataError, ModelError, NotFoundError
from trader.core.protocols import Model
from trader.models.state import STATE_FILE

__all__ = ["MODELS", "PRESET_NAMES", "available", "create", "model_class", "preset"]

MODELS: dict[str, str] = {
    "momentum": "trader.models.momentum:Momentum",
    "linear": "trader.models.linear:Linear",
    "boosting": "trader.models.boosting:Boosting",
    "lightgbm": "trader.models.boosters:LightGBM",
    "xgboost": "trader.models.boosters:XGBoost",
    "catboost": "trader.models.boosters:CatBoost",
    "transformer": "trader.models.transformer_model:Transformer",
}
"""Registered models: name to `module:class`; a module is imported when its model is asked for."""

PRESET_NAMES = ("ci", "demo", "full")
"""Every model has these: seconds on one core, minutes on one core, and what its size is meant to be."""


_OPTIONAL = ("lightgbm", "xgboost", "catboost")
"""Kinds whose library, of the same name, is an optional extra."""


def available() -> tuple[str, ...]:
    """Return the kinds that can run here: those whose library is installed."""
    return tuple(kind for kind in MODELS if kind not in _OPTIONAL or importlib.util.find_spec(kind) is not None)


def model_class(name: str) -> type[Model]:
    """Return the class registered as `name`; an unknown one raises NotFoundError with the closest known."""
    if name not in MODELS:
        raise NotFoundError(f"model {name!r} is unknown; known are {_listed(name, MODELS)}")
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


def load_model(folder: Path) -> Model:
    """Read a model of any kind from the folder that its `save` wrote to.

    Raises
    ------
    NotFoundError
        If the folder holds no model.
    ModelError
        If it cannot be read.
    """
    path = folder / STATE_FILE
    if not path.is_file():
        raise NotFoundError(f"{folder} holds no saved model: {STATE_FILE} is missing")
    try:
        kind = json.loads(path.read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} does not say what model it is: {error!r}") from error
    return model_class(str(kind)).load(folder)


def preset(kind: str, name: str) -> dict[str, Any]:
    """Return the hyperparameters of a preset, for `create(kind, **preset(kind, name))`.

    Parameters
    ----------
    kind : str
        A key of `MODELS`.
    name : {"ci", "demo", "full"}

    Raises
    ------
    NotFoundError
        If there is no such model or preset.

    Examples
    --------
    >>> preset("boosting", "ci")["n_trees"]
    20
    """
    presets: dict[str, dict[str, Any]] = model_class(kind).PRESETS  # type: ignore[attr-defined]
    if name not in presets:
        raise NotFoundError(f"model {kind!r} has no preset {name!r}; it has {_listed(name, presets)}")
    return dict(presets[name])


def _listed(asked: str, known: Iterable[str]) -> str:
    """Return the known names, and the one closest to what was asked for."""
    close = difflib.get_close_matches(asked, known, n=1)
    return ", ".join(sorted(known)) + (f"; did you mean {close[0]!r}?" if close else "")
