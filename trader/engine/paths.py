"""How much a model's result depends on which past it saw: the paths of combinatorial purged cross-validation."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.engine.training_set import Past
from trader.engine.trial import trade_scores
from trader.models.kinds import create
from trader.models.report import plain
from trader.models.targets import ENTRY_DELAY
from trader.models.walk_forward import past_of
from trader.validation.combinatorial import CombinatorialFold, CombinatorialPurged
from trader.validation.ic import information_coefficient

__all__ = ["Path", "PathReport", "run_paths"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Path:
    """One way through the whole history, every instant scored by a model that had not seen it.

    Parameters
    ----------
    ic : float
        Mean rank IC.
    sharpe : float
        After costs, traded by the decision loop.
    """

    ic: float
    sharpe: float


@dataclasses.dataclass(frozen=True, slots=True)
class PathReport:
    """All paths of one model.

    The models of a path have seen the future of some of what they score. That is no backtest: it tells how stable
    the method is, not what it would have earned.

    Parameters
    ----------
    kind : str
    n_splits : int
        Fits.
    paths : tuple of Path
    """

    kind: str
    n_splits: int
    paths: tuple[Path, ...]

    def spread(self, figure: str) -> tuple[float, float, float]:
        """Return least, median and largest of a figure, `ic` or `sharpe`, over the paths."""
        values = np.array([getattr(path, figure) for path in self.paths])
        return float(values.min()), float(np.median(values)), float(values.max())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        whole: dict[str, Any] = plain(dataclasses.asdict(self))
        return whole


def run_paths(
    past: Past,
    kind: str,
    params: Mapping[str, Any],
    *,
    n_groups: int = 6,
    n_test: int = 2,
    on_progress: Callable[[str, float], None] | None = None,
) -> PathReport:
    """Fit a model for every choice of test groups and trade every path.

    Parameters
    ----------
    past : Past
    kind : str
    params : mapping
        Hyperparameters.
    n_groups, n_test : int
        As in `CombinatorialPurged`; 6 and 2 make 15 fits and 5 paths.

    Raises
    ------
    DataError
        If the data are too short for the groups.
    """
    data, settings = past.data, past.settings
    tell = on_progress or (lambda *_: None)
    first = data.first
    splitter = CombinatorialPurged(n_groups, n_test, data.horizon, settings.models.embargo, delay=ENTRY_DELAY)
    done = itertools.count()

    def predict(fold: CombinatorialFold) -> FloatArray:
        number = next(done)
        tell(f"fit {number + 1} of {splitter.n_splits}", number / splitter.n_splits)
        model = create(kind, **params).fit_panel(
            data.features,
            data.target,
            feature_names=data.feature_names,
            seed=settings.run.seed,
            instants=fold.train + first,
            weight=data.weight,
        )
        parts = (past_of(data.features, test + first, model.context) for test in fold.tests)
        return np.concatenate([model.predict_panel(features, n_past) for features, n_past in parts])

    scores = splitter.paths(len(data) - first, predict)
    tell("trading the paths", 1.0)
    return PathReport(
        kind=kind,
        n_splits=splitter.n_splits,
        paths=tuple(
            Path(
                ic=float(np.nanmean(information_coefficient(path, data.target[first:]))),
                sharpe=trade_scores(past.panel.rows(first, len(data)), path, settings, n_resamples=2).sharpe,
            )
            for path in scores
        ),
    )
