"""A specification is checked before anything starts, and survives its file."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from trader.core.errors import DataError, UserError
from trader.models.kinds import MODELS, create
from tune.evolve import EvolveSpec
from tune.spaces import SPACES, model_space
from tune.spec import SearchSpec, new_name


def test_every_model_can_be_searched() -> None:
    """Each registered kind has a space in each size, whose samples the model takes."""
    assert set(SPACES) == set(MODELS)
    rng = np.random.default_rng(0)
    for kind in MODELS:
        for size in ("ci", "demo", "full"):
            space = model_space(kind, size)
            for _ in range(20):
                create(kind, **space.sample(rng))


def test_fixed_values_leave_the_search() -> None:
    """They come with every sample, in place of the preset's."""
    space = model_space("boosting", "ci", {"l2": 2.0, "max_rows": 500})
    assert "l2" not in space.dimensions
    assert space.fixed == {"l2": 2.0, "max_rows": 500}


def test_a_spec_survives_json() -> None:
    """What is read is what was written."""
    spec = SearchSpec(name="s", model="boosting", preset="ci", fixed={"l2": 2.0}, concurrent=2)
    assert SearchSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    with pytest.raises(DataError, match="specification cannot be read"):
        SearchSpec.from_dict({"name": "s", "modle": "linear"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "boostng"}, "did you mean 'boosting'"),
        ({"preset": "dmo"}, "preset='dmo' is unknown.*did you mean 'demo'"),
        ({"scheduler": "ashaa"}, "scheduler='ashaa' is unknown.*did you mean 'asha'"),
        ({"searcher": "grid"}, "searcher='grid' is unknown; allowed are optuna, random"),
        ({"metric": "auc"}, "metric='auc' is unknown; allowed are ic, loss"),
        ({"trials": 0}, "trials=0 is not allowed; at least 1"),
        ({"trials": 3, "scheduler": "pbt"}, "trials=3 is not allowed; at least 4 are needed for a population"),
        ({"concurrent": -1}, "concurrent=-1"),
        ({"cpus_per_trial": 0.0}, "cpus_per_trial=0.0"),
        ({"gpus_per_trial": 1.5}, "gpus_per_trial=1.5"),
        ({"fixed": {"aplha": 1.0}}, "model 'linear' has alpha, clip; did you mean 'alpha'"),
        ({"fixed": {"alpha": -1.0}}, "alpha=-1.0"),
        ({"fixed": {"alpha": 1.0, "clip": 3.0}}, "nothing is left to search"),
    ],
)
def test_bad_specs_are_refused(changes: dict[str, Any], message: str) -> None:
    """One line names the argument and what is allowed."""
    with pytest.raises(UserError, match=message):
        SearchSpec(**{"name": "s", "model": "linear", **changes})


def test_evolution_states_its_budget() -> None:
    """The elite is not counted twice; too small is refused."""
    assert EvolveSpec(name="e", population=16, generations=8).trials == 16 + 7 * 14
    for changes in ({"population": 3}, {"generations": 0}, {"cpus_per_trial": 0.0}, {"share": 1.0}):
        with pytest.raises(UserError, match=next(iter(changes))):
            EvolveSpec(name="e", **changes)


def test_names_do_not_collide() -> None:
    """Two of the same second differ."""
    assert new_name("linear") != new_name("linear")
