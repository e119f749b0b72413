"""Plans: traffic never moves to what is not loaded, and what was left stays loaded until it is retired."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serve.plan import Plan, Serving, deployment_of, retired, stages

FOLDERS = [Path(f"/models/{name}") for name in "abcd"]


@st.composite
def servings(draw: st.DrawFn) -> Serving:
    champion, *others = draw(st.permutations(FOLDERS))
    return Serving(
        model_dir=champion,
        challenger_dir=draw(st.none() | st.just(others[0])),
        challenger_share=draw(st.sampled_from([0.0, 0.1, 1.0])),
        weights=draw(st.sampled_from([{}, {"linear@1": 2.0}])),
    )


@given(st.lists(servings(), min_size=2, max_size=6))
def test_traffic_moves_to_what_is_loaded(wishes: list[Serving]) -> None:
    """In each state, who answers was loaded in the state before; the state reached answers as was wished."""
    now = wishes[0]
    for wanted in wishes[1:]:
        for stage in stages(now, wanted):
            plan, loaded = Plan.of(stage), {deployment_of(folder) for folder in now.folders}
            if plan != Plan.of(now):
                assert {plan.champion, plan.challenger or plan.champion, plan.fallback or plan.champion} <= loaded
            assert {deployment_of(folder) for folder in stage.folders} >= {plan.champion}
            now = stage
        assert now.model_copy(update={"fallback_dir": None, "fallback_weights": {}}) == wanted
        assert now.warm == ()


def test_a_champion_that_was_replaced_is_kept_with_its_weights() -> None:
    old = Serving(model_dir=FOLDERS[0], weights={"linear@1": 3.0})
    prepared, switched = stages(old, Serving(model_dir=FOLDERS[1]))
    assert Plan.of(prepared) == Plan.of(old)
    assert prepared.folders == {FOLDERS[0]: {"linear@1": 3.0}, FOLDERS[1]: {}}
    assert (switched.fallback_dir, switched.folders[FOLDERS[0]]) == (FOLDERS[0], {"linear@1": 3.0})
    assert retired(switched) == Serving(model_dir=FOLDERS[1])
    (weighed,) = stages(switched, Serving(model_dir=FOLDERS[1], weights={"linear@2": 1.0}))
    assert weighed.fallback_dir == FOLDERS[0]


def test_an_ensemble_does_not_challenge_itself() -> None:
    with pytest.raises(ValidationError, match="challenger_dir=/models/a is model_dir too"):
        Serving(model_dir=FOLDERS[0], challenger_dir=FOLDERS[0])
