"""From the best trial to a registered version."""

from __future__ import annotations

import getpass
from collections.abc import Callable

from trader.core.errors import OperationError
from trader.engine.evaluation import evaluate
from trader.engine.registration import register_candidate
from trader.engine.training_set import Past
from trader.models.candidate import train_candidate
from trader.registry import ModelVersion, Registry
from trader.storage import Store
from tune.results import SearchResult
from tune.spec import SearchSpec

__all__ = ["register_winner"]


def register_winner(
    spec: SearchSpec,
    result: SearchResult,
    past: Past,
    on_progress: Callable[[str, float], None] | None = None,
) -> ModelVersion:
    """Train the best trial's hyperparameters on the whole training span and register the model, in STAGING.

    Its lineage names the search and how many sets of hyperparameters were tried, which also deflate the Sharpe ratio
    of its report.

    Raises
    ------
    OperationError
        If no trial was completed.
    """
    best = result.best
    if best is None:
        raise OperationError(f"search {spec.name!r} completed no trial; there is nothing to register")
    settings = past.settings
    candidate = train_candidate(
        past.data, spec.model, best.params, settings=settings.models, seed=spec.seed, on_progress=on_progress
    )
    evaluation = evaluate(candidate, past, n_trials=result.n_tried)
    with Store.open(settings.store_url, synchronous=settings.store.synchronous) as store:
        return register_candidate(
            Registry.of(store, settings.registry),
            candidate,
            evaluation,
            past,
            who=getpass.getuser(),
            why=f"trial {best.number} of search {spec.name}, the best of {result.n_tried}",
            search=spec.name,
            trials=result.n_tried,
        )
