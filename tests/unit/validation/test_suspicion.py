"""The leak detector: what is stamped, why, and what an acknowledgement needs."""

from __future__ import annotations

import datetime as dt
import json
import math

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.validation.guards import LEAKED, leak_tomorrow
from trader.validation.panel import Estimate, hit_estimate, ic_estimate
from trader.validation.suspicion import Suspicion, judge, leaking_features

NOON = dt.datetime(2026, 1, 2, 12, 0, tzinfo=dt.timezone(dt.timedelta(hours=1)))
SUSPECT = Suspicion("suspect", ("too good",))


def _estimate(value: float, low: float, base: float, n_instants: int = 500) -> Estimate:
    return Estimate(value, low, 2 * value - low, base, 0.95, n_instants)


@pytest.mark.parametrize(
    ("hit", "ic", "verdict"),
    [
        ((0.53, 0.51, 0.50), (0.03, 0.01, 0.0), "credible"),
        ((0.60, 0.58, 0.50), (0.10, 0.08, 0.0), "credible"),  # the limits themselves
        ((0.601, 0.59, 0.50), (0.03, 0.01, 0.0), "suspect"),
        ((0.53, 0.51, 0.50), (0.101, 0.08, 0.0), "suspect"),
        ((0.53, 0.51, 0.50), (-0.2, -0.25, 0.0), "suspect"),  # always wrong has seen the future too
        ((0.62, 0.60, 0.61), (0.03, 0.01, 0.0), "credible"),  # no better than always saying up
        ((0.67, 0.65, 0.61), (0.03, 0.01, 0.0), "suspect"),
        ((math.nan, math.nan, 0.5), (0.03, 0.01, 0.0), "undecided"),
    ],
)
def test_limits(hit: tuple[float, ...], ic: tuple[float, ...], verdict: str) -> None:
    """Hit rates above .60 and above the base by .05, information coefficients beyond .10 are suspect."""
    found = judge(hit_rate=_estimate(*hit), ic=_estimate(*ic))
    assert found.verdict == verdict
    assert found.open is (verdict == "suspect")
    assert bool(found.reasons) is (verdict != "credible")


@pytest.mark.parametrize(
    ("low", "said"),
    [(0.15, "it is no luck"), (0.05, "above 0.00, what no skill reaches"), (-0.02, "too few to tell it from luck")],
)
def test_the_lower_bound_grades_the_reason(low: float, said: str) -> None:
    """The estimate stamps; the bound says how sure that is."""
    found = judge(ic=_estimate(0.21, low, 0.0))
    assert found.stamp == "SUSPECT"
    assert said in found.reasons[0]
    assert "0.210 is above 0.10" in found.reasons[0]


def test_a_short_test_is_stamped_when_it_is_too_good_and_undecided_otherwise() -> None:
    """Few instants excuse nothing, and prove nothing."""
    assert judge(ic=Estimate(0.3, math.nan, math.nan, 0.0, 0.95, 1)).verdict == "suspect"
    short = judge(ic=_estimate(0.02, 0.01, 0.0, n_instants=19))
    assert short.verdict == "undecided"
    assert short.reasons == ("the mean information coefficient is that of 19 instants; 20 are needed",)
    assert judge().stamp == "UNDECIDED"


def test_a_planted_leak_is_found_and_named_and_an_honest_score_is_not() -> None:
    """Tomorrow's return as a feature is suspect on every figure, and the detector points at its column."""
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(600, 10, 3))
    returns = 0.05 * honest[:, :, 0] + rng.normal(size=(600, 10))
    features = leak_tomorrow(honest, returns)
    names = ("signal", "noise_1", "noise_2", LEAKED)
    assert leaking_features(features, returns, names) == {LEAKED: pytest.approx(1.0)}
    for score, verdict in ((honest[:, :, 0], "credible"), (honest[:, :, 0] + features[:, :, 3], "suspect")):
        figures = {"hit_rate": hit_estimate(score, returns), "ic": ic_estimate(score, returns)}
        assert judge(**figures).verdict == verdict


def test_noise_is_rarely_suspect() -> None:
    """A year of ten symbols without skill is stamped in none of 50 simulations."""
    rng = np.random.default_rng(1)
    verdicts = [
        judge(ic=ic_estimate(*rng.normal(size=(2, 250, 10)), n_resamples=20)).verdict  # type: ignore[call-arg]
        for _ in range(50)
    ]
    assert set(verdicts) == {"credible"}


def test_acknowledgement_closes_and_is_stored() -> None:
    """Name, reason and time in UTC stay with the stamp through JSON; the verdict stays suspect."""
    closed = SUSPECT.acknowledge(by="Ada", why="the market is simulated with a planted signal", at=NOON)
    assert not closed.open
    assert closed.verdict == "suspect"
    assert closed.stamp == "SUSPECT, acknowledged by Ada: the market is simulated with a planted signal"
    assert closed.acknowledged is not None
    assert closed.acknowledged.at == "2026-01-02T11:00:00+00:00"
    assert Suspicion.from_dict(json.loads(json.dumps(closed.to_dict()))) == closed
    assert Suspicion.from_dict(json.loads(json.dumps(SUSPECT.to_dict()))) == SUSPECT


@pytest.mark.parametrize(
    ("by", "why", "at", "message"),
    [
        (" ", "the market is simulated", NOON, "by is empty"),
        ("Ada", "ok", NOON, "why='ok' is too short"),
        ("Ada", "the market is simulated", NOON.replace(tzinfo=None), "has no time zone"),
    ],
)
def test_an_empty_acknowledgement_is_refused(by: str, why: str, at: dt.datetime, message: str) -> None:
    """It needs a name, a reason and a time."""
    with pytest.raises(DataError, match=message):
        SUSPECT.acknowledge(by=by, why=why, at=at)


def test_only_a_suspect_result_can_be_acknowledged() -> None:
    """There is nothing to explain about the others."""
    with pytest.raises(DataError, match="the verdict is 'credible'"):
        Suspicion("credible").acknowledge(by="Ada", why="the market is simulated", at=NOON)


@pytest.mark.parametrize("content", [{}, {"verdict": "fine", "reasons": [], "acknowledged": None}])
def test_a_broken_record_is_refused(content: dict[str, object]) -> None:
    """What was stored is read whole or not at all."""
    with pytest.raises(DataError, match="not a stored suspicion"):
        Suspicion.from_dict(content)


def test_features_must_match_the_target() -> None:
    """Shapes and names agree."""
    with pytest.raises(DataError, match="2 names do not match"):
        leaking_features(np.ones((5, 4, 3)), np.ones((5, 4)), ("a", "b"))
