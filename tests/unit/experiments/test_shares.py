"""Shares as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from trader.core.errors import UserError
from trader.experiments.shares import parse_split, traffic_fields
from trader.experiments.spec import ExperimentSpec


@pytest.mark.parametrize(
    ("given", "share", "schedule", "holdout"),
    [
        ({}, 0.1, "fixed", 0.0),
        ({"split": "80/15/5"}, 0.15, "fixed", 0.05),
        ({"canary": 5.0}, 0.05, "fixed", 0.0),
        ({"ramp": "5,50,100"}, 0.05, "ramp", 0.0),
        ({"ramp": "5,50,90", "split": "85/5/10"}, 0.05, "ramp", 0.1),
        ({"thompson": 10.0}, 0.5, "thompson", 0.0),
        ({"thompson": 10.0, "split": "70/20/10"}, 0.2, "thompson", 0.1),
    ],
)
def test_they_make_a_plan(given: dict[str, Any], share: float, schedule: str, holdout: float) -> None:
    spec = ExperimentSpec("e", "a@1", "b@1", **traffic_fields(**given))
    assert (spec.split.challenger, spec.schedule, spec.holdout) == (share, schedule, holdout)
    assert ExperimentSpec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ramp": "10,x"}, "ramp='10,x' is not allowed"),
        ({"ramp": ""}, "ramp='' is not allowed"),
        ({"ramp": "10,200"}, "ramp=200 is not allowed; it is in per cent"),
        ({"canary": -1.0}, "canary=-1"),
        ({"thompson": float("nan")}, "thompson=nan"),
        ({"canary": 5.0, "ramp": "5,10"}, "ramp and canary are not allowed together"),
        ({"canary": 5.0, "split": "90/10"}, "both are the share"),
    ],
)
def test_what_is_none_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        traffic_fields(**given)


@pytest.mark.parametrize("text", ["90", "90/20", "a/b", "110/-10", "50/30/10/10", ""])
def test_splits_that_do_not_add_up_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="100 in all"):
        parse_split(text)
