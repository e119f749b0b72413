"""The hyperparameters of each kind of model that a search varies, and between which bounds.

Bounds are wide enough to hold what the field uses and narrow enough that no trial takes unreasonably long. A search
starts from the model's preset: what is not listed here keeps the preset's value.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from trader.core.errors import SettingsError
from trader.models.kinds import model_class, preset
from tune.space import Choice, Dimension, Float, Int, Space

__all__ = ["SPACES", "model_space"]


def _trees(*, library: bool = False, leaf_rows: bool = True) -> dict[str, Mapping[str, Dimension]]:
    """Return the dimensions of boosted trees; libraries also draw columns."""
    shared: dict[str, Dimension] = {
        "learning_rate": Float(0.01, 0.3, log=True),
        "max_leaves": Int(2, 32, log=True),
        "l2": Float(0.01, 100.0, log=True),
    }
    if leaf_rows:
        shared["min_leaf_rows"] = Int(20, 2000, log=True)
    if library:
        shared["feature_share"] = Float(0.3, 1.0)
    most = {"ci": 40, "demo": 400, "full": 2000}
    return {size: {"n_trees": Int(n // 20, n, log=True), **shared} for size, n in most.items()}


def _transformer() -> dict[str, Mapping[str, Dimension]]:
    """Return the dimensions of the market transformer; widths are multiples of the preset's number of heads."""
    shared: dict[str, Dimension] = {"dropout": Float(0.0, 0.5), "weight_decay": Float(0.01, 3.0, log=True)}
    small: dict[str, Dimension] = {
        "context": Choice((2, 4, 8, 16), ordered=True),
        "d_model": Choice((16, 32, 48, 64), ordered=True),
        "n_layers": Int(1, 3),
        "learning_rate": Float(3e-4, 1e-2, log=True),
    }
    full: dict[str, Dimension] = {
        "context": Choice((25, 50, 100, 200), ordered=True),
        "d_model": Choice((128, 256, 512), ordered=True),
        "n_layers": Int(2, 8),
        "learning_rate": Float(5e-5, 2e-3, log=True),
    }
    tiny = small | {"d_model": Choice((8, 16, 24), ordered=True), "n_layers": Int(1, 2)}
    return {"ci": tiny | shared, "demo": small | shared, "full": full | shared}


def _any_size(**dimensions: Dimension) -> dict[str, Mapping[str, Dimension]]:
    return dict.fromkeys(("ci", "demo", "full"), dimensions)


SPACES: Mapping[str, Mapping[str, Mapping[str, Dimension]]] = {
    "momentum": _any_size(clip=Float(0.5, 6.0)),
    "linear": _any_size(alpha=Float(1e-4, 100.0, log=True), clip=Float(1.0, 10.0)),
    "boosting": _trees(),
    "lightgbm": _trees(library=True),
    "xgboost": _trees(library=True),
    "catboost": _trees(library=True, leaf_rows=False),
    "transformer": _transformer(),
}
"""Dimensions by kind of model and preset."""


def model_space(kind: str, size: str, fixed: Mapping[str, Any] | None = None) -> Space:
    """Return what a search of a kind of model varies, around its preset.

    Parameters
    ----------
    kind : str
        A key of `trader.models.base.MODELS`.
    size : {"ci", "demo", "full"}
        Preset whose values hold for what is not varied.
    fixed : mapping, optional
        Hyperparameters to hold at a value: dimensions of the space, or any others of the model.

    Raises
    ------
    NotFoundError
        If the kind or the preset is unknown.
    SettingsError
        If the model has no such hyperparameter, or nothing is left to search.

    Examples
    --------
    >>> list(model_space("boosting", "ci", {"l2": 1.0, "max_rows": 5000}).dimensions)
    ['n_trees', 'learning_rate', 'max_leaves', 'min_leaf_rows']
    """
    fixed = fixed or {}
    kept = preset(kind, size)
    allowed = tuple(inspect.signature(model_class(kind)).parameters)
    for name in fixed:
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise SettingsError(f"--set {name}: model {kind!r} has {', '.join(allowed)}{hint}")
    dimensions = {name: each for name, each in SPACES[kind][size].items() if name not in fixed}
    if not dimensions:
        raise SettingsError(
            f"nothing is left to search of model {kind!r}: {', '.join(SPACES[kind][size])} are all fixed"
        )
    return Space(dimensions, {name: value for name, value in kept.items() if name not in dimensions} | dict(fixed))
