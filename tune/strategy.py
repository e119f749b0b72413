"""A strategy as a genome: what it looks at, what it learns, and how it turns scores into positions."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import TraderError
from trader.engine.training_set import Past
from trader.engine.trial import follow_scores
from trader.features.cross_section import CrossSection
from trader.features.families import FAMILIES
from trader.models.dataset import TrainingSet
from trader.models.kinds import create, preset
from trader.models.walk_forward import past_of
from trader.settings import Settings
from tune.space import Choice, Dimension, Float, Int, Space, Subset

__all__ = [
    "Arena",
    "Performed",
    "arena_of",
    "column_names",
    "expressed",
    "perform",
    "settings_of",
    "strategy_space",
    "trade",
]

FloatArray = NDArray[np.float64]

_MODELS: Mapping[str, Mapping[str, Dimension]] = {
    "momentum": {},
    "linear": {"alpha": Float(1e-3, 100.0, log=True)},
    "boosting": {
        "n_trees": Int(10, 120, log=True),
        "learning_rate": Float(0.01, 0.2, log=True),
        "max_leaves": Int(2, 16, log=True),
    },
}
_SIZING: Mapping[str, Dimension] = {
    "target_volatility": Float(0.05, 0.25),
    "tilt": Choice((0.0, 0.25, 0.5, 0.75, 1.0), ordered=True),
    "rebalance_every": Choice((1, 2, 5, 10, 21), ordered=True),
    "rebalance_band": Choice((0.0, 0.005, 0.01, 0.02, 0.05), ordered=True),
    "max_weight": Float(0.05, 0.25),
    "max_turnover": Float(0.05, 1.0, log=True),
}
_HORIZON = Choice((1, 2, 3, 5, 10, 21), ordered=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Arena:
    """Where strategies compete: a past, and where in it training ends and trading begins.

    Parameters
    ----------
    past : Past
        Of all feature families that the feed's fields allow, up to the end of training.
    split : int
        Strategies learn from labels known by the instant before this one, and trade from it on.
    """

    past: Past
    split: int


def arena_of(past: Past, share: float) -> Arena:
    """Cut a past: models learn from the first `share` of the instants after the warm-up, the rest is traded."""
    first = past.data.first
    return Arena(past, first + int((len(past.data) - first) * share))


def strategy_space(columns: Mapping[str, tuple[str, ...]]) -> Space:
    """Return the genome: feature families, horizon, model and its hyperparameters, sizing and thresholds.

    Genes of a model that is not chosen are silent; they are handed down and speak again when it is.

    Parameters
    ----------
    columns : mapping of str to tuple of str
        As `column_names` gives it.
    """
    genes: dict[str, Dimension] = {
        "families": Subset(tuple(columns)),
        "horizon": _HORIZON,
        "model": Choice(tuple(_MODELS)),
    }
    for kind, dimensions in _MODELS.items():
        genes |= {f"{kind}.{name}": dimension for name, dimension in dimensions.items()}
    return Space(genes | {f"sizing.{name}": dimension for name, dimension in _SIZING.items()})


def column_names(schema: Sequence[str], bars_per_day: float) -> dict[str, tuple[str, ...]]:
    """Return the per-symbol features of each family that a schema holds."""
    families = ((kind.name, tuple(kind(bars_per_day).names)) for kind in FAMILIES)
    return {name: own for name, own in families if set(own) <= set(schema)}


def expressed(genome: Mapping[str, Any]) -> dict[str, Any]:
    """Return the genes that speak: all but those of models that are not chosen."""
    return {
        name: value
        for name, value in genome.items()
        if name.partition(".")[0] in (genome["model"], "sizing") or "." not in name
    }


def settings_of(genome: Mapping[str, Any], base: Settings) -> Settings:
    """Return the settings of a strategy: those of `base` with what its genes say."""
    kind = genome["model"]
    own = {name: genome[f"{kind}.{name}"] for name in _MODELS[kind]}
    changes: dict[str, dict[str, Any]] = {
        "features": {"families": tuple(genome["families"])},
        "models": {
            "members": (kind,),
            "weights": (),
            "params": {kind: own} if own else {},
            "horizon": genome["horizon"],
        },
        "sizing": {name: genome[f"sizing.{name}"] for name in _SIZING},
    }
    update = {section: getattr(base, section).model_copy(update=values) for section, values in changes.items()}
    return base.model_copy(update=update)


def trade(arena: Arena, settings: Settings, columns: Mapping[str, tuple[str, ...]]) -> FloatArray:
    """Train and trade one strategy; return its returns after costs, shape (n_instants - split - 1,).

    The decisions are made by the loop of a run: same sizing, risk gate, broker, costs and ledger.

    Raises
    ------
    TraderError
        If the model cannot be fitted, or never scores.
    """
    past = arena.past
    own = tuple(name for family in settings.features.families for name in columns[family])
    names = own + CrossSection(own, past.data.closes.shape[1]).names
    places = [past.data.feature_names.index(name) for name in names]
    features = np.ascontiguousarray(past.data.features[:, :, places])
    known = TrainingSet.build(
        features[: arena.split],
        names,
        past.data.closes[: arena.split],
        past.data.ts_ns[: arena.split],
        horizon=settings.models.horizon,
        symbols=past.data.symbols,
    )
    kind = settings.models.members[0]
    params = preset(kind, settings.models.preset) | settings.models.params.get(kind, {})
    model = create(kind, **params).fit_panel(known.features, known.target, feature_names=names, seed=settings.run.seed)
    traded = np.arange(arena.split, len(past.data), dtype=np.int64)
    scores = np.full(past.data.closes.shape, np.nan)
    scores[traded] = model.predict_panel(*past_of(features, traded, model.context))
    blocks = follow_scores(past.panel, scores, settings, arena.split, len(past.data))
    equity = np.concatenate([block.equity for block in blocks])
    returns: FloatArray = np.diff(equity) / equity[:-1]
    return returns


@dataclasses.dataclass(frozen=True, slots=True)
class Performed:
    """What a genome came to: its returns, or why there are none."""

    returns: tuple[float, ...]
    seconds: float
    error: str = ""


def perform(
    genome: Mapping[str, Any], arena: Arena, base: Settings, columns: Mapping[str, tuple[str, ...]]
) -> Performed:
    """Trade a genome; one that cannot be is no error of the search."""
    began = time.perf_counter()
    try:
        returns = trade(arena, settings_of(genome, base), columns)
    except (TraderError, ArithmeticError, ValueError, MemoryError) as error:
        return Performed((), time.perf_counter() - began, f"{type(error).__name__}: {' '.join(str(error).split())}")
    return Performed(tuple(returns.tolist()), time.perf_counter() - began)
