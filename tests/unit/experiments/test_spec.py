"""A registered experiment says all that it will be judged by; what cannot be is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from trader.core.errors import UserError
from trader.experiments.breaker import CircuitBreaker
from trader.experiments.spec import ExperimentSpec

PLAIN: dict[str, Any] = {"name": "e", "champion": "linear@1.0.0", "challenger": "linear@1.1.0"}


def test_a_spec_comes_back() -> None:
    spec = ExperimentSpec(**PLAIN, challenger_share=0.25, holdout=0.05, horizon=300)
    assert ExperimentSpec.from_dict(spec.to_dict()) == spec
    assert (spec.split.challenger, spec.split.holdout, spec.split.salt) == (0.25, 0.05, "e")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "a b"}, "name='a b'"),
        ({"champion": "linear"}, "champion='linear' is no exact reference"),
        ({"challenger": "linear@1.0.0"}, "both linear@1.0.0"),
        ({"kind": "x"}, "kind='x'"),
        ({"metric": "ic"}, "metric='ic' is not allowed; one of pnl is"),
        ({"alpha": 0.0}, "alpha=0.0"),
        ({"horizon": 1}, "horizon=1"),
        ({"kind": "shadow"}, "a shadow has none of the traffic"),
        ({"challenger_share": 0.0}, "a shadow has none"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ExperimentSpec(**PLAIN | fields)


def test_the_breaker_pauses_longer_each_time_and_closes_at_once() -> None:
    """Three failures open it for 16 instants; each failed attempt doubles that, to 1,024; a success ends it."""
    breaker = CircuitBreaker()
    pauses = []
    for _ in range(10):
        while breaker.allows(1):
            breaker.failed()
        passed = 1
        while not breaker.allows(1):
            passed += 1
        pauses.append(passed)
        breaker.failed()
        passed = 0
        twin = CircuitBreaker()
        twin.restore(breaker.state())
        breaker = twin
    assert pauses[0] == 16
    assert pauses == sorted(pauses)
    assert pauses[-1] == 1024
    breaker.succeeded()
    for _ in range(2):
        breaker.failed()
    assert CircuitBreaker().allows(1)
