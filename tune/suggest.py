"""Which hyperparameters to try next.

What a searcher suggests for trial `k` depends on the space, the seed, `k` and the trials that were allowed to count,
never on how fast they ran: a search repeats, and one that was killed goes on as if it had not been.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from trader.core.errors import SettingsError
from tune.journal import Trial
from tune.space import Params, Space

__all__ = ["SEARCHERS", "OptunaSearcher", "RandomSearcher", "Searcher", "choose", "create_searcher"]

SEARCHERS = ("optuna", "random")


class Searcher(Protocol):
    """Suggests hyperparameters."""

    def needs(self, number: int) -> int:
        """Return how many trials, counted from the first, must have ended before trial `number` is drawn."""
        ...

    def suggest(self, number: int, ended: Mapping[int, Trial]) -> Params:
        """Return the hyperparameters of trial `number`; numbers are asked for in order."""
        ...


class RandomSearcher:
    """Draws every trial from the whole space, each from a seed of its own."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = seed

    def needs(self, number: int) -> int:  # noqa: ARG002
        """Return 0: no trial waits for another."""
        return 0

    def suggest(self, number: int, ended: Mapping[int, Trial]) -> Params:  # noqa: ARG002
        """Return the hyperparameters of trial `number`."""
        return self._space.sample(np.random.default_rng([self._seed, number]))


class OptunaSearcher:
    """Optuna's tree-structured Parzen estimator [1]_.

    With `lag` trials at once, trial `k` is drawn from what the first ``k - lag + 1`` came to, whichever others have
    ended by then. That costs a little waiting and makes the search repeatable. A trial that was stopped early
    counts as pruned, one that failed not at all.

    References
    ----------
    .. [1] Bergstra et al. (2011), "Algorithms for hyper-parameter optimization"; Watanabe (2023), "Tree-structured
       Parzen estimator: understanding its algorithm components".
    """

    def __init__(self, space: Space, seed: int, lag: int = 1) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._distributions = space.to_optuna()
        self._seed = seed
        self._lag = lag
        self._told: list[Any] = []

    def needs(self, number: int) -> int:
        """Return how many of the first trials must have ended."""
        return max(0, number - self._lag + 1)

    def suggest(self, number: int, ended: Mapping[int, Trial]) -> Params:
        """Return the hyperparameters of trial `number`."""
        import optuna

        self._told += [self._frozen(ended[known]) for known in range(len(self._told), self.needs(number))]
        own_seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        # A new study each time: one that is kept would remember what it suggested and never heard of again.
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=own_seed))
        study.add_trials(self._told)
        return dict(self._space.fixed) | study.ask(self._distributions).params

    def _frozen(self, trial: Trial) -> Any:
        from optuna.trial import TrialState, create_trial

        known = trial.score == trial.score
        state = TrialState.FAIL if not known else TrialState.COMPLETE
        if known and trial.status == "stopped":
            state = TrialState.PRUNED
        return create_trial(
            state=state,
            value=trial.score if known else None,
            params={name: trial.params[name] for name in self._distributions},
            distributions=self._distributions,
            intermediate_values=dict(enumerate(trial.scores)),
        )


def create_searcher(name: str, space: Space, seed: int, lag: int) -> Searcher:
    """Return a searcher by name; an unknown one raises SettingsError."""
    return (
        RandomSearcher(space, seed)
        if choose("searcher", name, SEARCHERS) == "random"
        else OptunaSearcher(space, seed, lag)
    )


def choose(what: str, name: str, allowed: tuple[str, ...]) -> str:
    """Return `name` if it is one of `allowed`.

    Raises
    ------
    SettingsError
        If not; the message names what is, and the closest.
    """
    if name not in allowed:
        near = difflib.get_close_matches(name, allowed, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SettingsError(f"{what}={name!r} is unknown; allowed are {', '.join(allowed)}{hint}")
    return name
