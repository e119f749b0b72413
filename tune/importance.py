"""Which hyperparameters mattered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tune.journal import Trial

__all__ = ["axis_values", "importances"]

_FEWEST = 8
"""Trials below which an importance says nothing."""
_MOST_LABELS = 12


def axis_values(trials: Sequence[Trial]) -> dict[str, list[Any]]:
    """Return the values of each hyperparameter that varies and speaks in every trial.

    A subset of names counts by its size.
    """
    if not trials:
        return {}
    kinds = {str(trial.params["model"]) for trial in trials if "model" in trial.params}
    found: dict[str, list[Any]] = {}
    for name in trials[0].params:
        if name.partition(".")[0] in kinds and "." in name:
            continue  # silent in strategies with another model
        values = [_plain(trial.params[name]) for trial in trials]
        if len(set(values)) > 1:
            found[name] = values
    return found


def importances(trials: Sequence[Trial]) -> Mapping[str, float]:
    """Return the share of the scores' variance that each hyperparameter explains alone, largest first [1]_.

    Parameters
    ----------
    trials : sequence of Trial
        Those with a score count.

    Returns
    -------
    mapping of str to float
        Shares with sum 1; empty for fewer than eight trials, or scores that do not vary.

    References
    ----------
    .. [1] Hutter, Hoos and Leyton-Brown (2014), "An efficient approach for assessing hyperparameter importance"
       (fANOVA).
    """
    scored = [trial for trial in trials if math.isfinite(trial.score)]
    if len(scored) < _FEWEST or len({trial.score for trial in scored}) < 2:
        return {}
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    axes = axis_values(scored)
    if not axes:
        return {}
    distributions = {name: _distribution(values) for name, values in axes.items()}
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))
    for place, trial in enumerate(scored):
        params = {name: values[place] for name, values in axes.items()}
        study.add_trial(optuna.trial.create_trial(value=trial.score, params=params, distributions=distributions))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return len(value)
    return value


def _distribution(values: Sequence[Any]) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return IntDistribution(min(values), max(values))
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return FloatDistribution(min(values), max(values), log=min(values) > 0 and max(values) / min(values) > 50)
    return CategoricalDistribution(sorted(set(values), key=str)[:_MOST_LABELS])
