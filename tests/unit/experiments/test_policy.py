"""What a policy does, as a table of what is known; and what is written down of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from trader.experiments.assess import Assessment, assess
from trader.experiments.book import Entry, Experiment
from trader.experiments.guardrails import Guardrail
from trader.experiments.policy import rule
from trader.experiments.spec import ExperimentSpec
from trader.registry.records import Said
from trader.validation.experiments import Verdict

SAID = Said(0, "ada", "why")
DAY_NS = 86_400 * 10**9
BROKEN = (Guardrail("unanswered", 0.02, 0.01),)


def _spec(**fields: Any) -> ExperimentSpec:
    return ExperimentSpec(**{"name": "e", "champion": "a@1", "challenger": "b@1", "policy": "auto"} | fields)


def _found(verdict: Verdict = Verdict.PASS, *, final: bool = True, **fields: Any) -> Assessment:
    nothing = assess(_spec(), ())
    return dataclasses.replace(nothing, verdict=verdict, reason="so it is", is_final=final, **fields)


def _experiment(spec: ExperimentSpec, *kinds: str, **payload: Any) -> Experiment:
    return Experiment(spec, SAID, tuple(Entry(kind, payload, "r1", SAID) for kind in kinds))  # type: ignore[arg-type]


SHADOW = {"kind": "shadow", "challenger_share": 0.0}


@pytest.mark.parametrize(
    ("fields", "entries", "found", "action", "says"),
    [
        ({"policy": "manual"}, (), _found(), "hold", "the policy is manual"),
        ({}, ("joined", "verdict"), _found(), "promote", "passed: so it is"),
        ({}, (), _found(final=False), "hold", "pass: so it is"),
        ({}, (), _found(Verdict.INCONCLUSIVE), "hold", "inconclusive: so it is"),
        ({}, (), _found(Verdict.FAIL), "hold", "fail: so it is"),
        ({}, ("stopped",), _found(), "hold", "the experiment is stopped"),
        ({}, ("promoted",), _found(), "hold", "nothing speaks against it"),
        ({}, ("promoted",), _found(Verdict.FAIL), "roll back", "so it is"),
        ({}, ("promoted",), _found(guardrails=BROKEN), "roll back", "unanswered is 2.00%, above 1.00%"),
        ({}, ("promoted", "verdict"), _found(Verdict.FAIL), "roll back", "so it is"),
        ({}, ("promoted", "rolled_back"), _found(), "hold", "the experiment is rolled back"),
        ({"policy": "propose"}, ("verdict",), _found(), "propose", "passed: so it is"),
        ({"policy": "propose"}, ("verdict", "proposed", "verdict"), _found(), "hold", "waits for an answer"),
        ({"policy": "propose"}, ("promoted",), _found(Verdict.FAIL), "hold", "the experiment is promoted"),
        (SHADOW, (), _found(sign_agreement=0.6), "propose", "passed"),
        (SHADOW, (), _found(sign_agreement=0.4), "hold", "40% of the signs agree; 50% are needed"),
        (SHADOW, (), _found(sign_agreement=float("nan")), "hold", "are needed"),
    ],
)
def test_what_is_done(
    fields: dict[str, Any], entries: tuple[str, ...], found: Assessment, action: str, says: str
) -> None:
    ruling = rule(_experiment(_spec(**fields), *entries), found, now_ns=DAY_NS)
    assert ruling.action == action
    assert says in ruling.reason


def test_a_forced_promotion_is_not_taken_back() -> None:
    forced = _experiment(_spec(), "promoted", forced=True)
    assert rule(forced, _found(Verdict.FAIL), now_ns=0).action == "hold"


def test_a_cooldown_is_waited_for_by_promotions_only() -> None:
    """To the nanosecond after the last change of the champion; what went wrong is taken back at once."""
    spec = _spec(cooldown_s=3600.0)
    hour = 3600 * 10**9
    waits = rule(_experiment(spec), _found(), now_ns=DAY_NS + hour - 1, moved_ns=DAY_NS)
    assert (waits.action, "cooldown until 1970-01-02 01:00:00 UTC" in waits.reason) == ("hold", True)
    assert rule(_experiment(spec), _found(), now_ns=DAY_NS + hour, moved_ns=DAY_NS).action == "promote"
    late = rule(_experiment(spec, "promoted"), _found(Verdict.FAIL), now_ns=DAY_NS, moved_ns=DAY_NS)
    assert late.action == "roll back"
