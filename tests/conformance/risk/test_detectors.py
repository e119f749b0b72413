"""What every detector keeps to: seeds, memory, state, errors, and the anomalies it has to find."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from risk.anomaly.base import ScaledDetector
from risk.anomaly.detectors import DETECTORS, open_detector
from risk.anomaly.features import QUOTE_FEATURES, quote_features
from risk.anomaly.judging import judge_alarms
from risk.anomaly.simulation import KINDS, SimulatedQuotes, simulate_quotes
from trader.core.errors import DataError
from trader.core.protocols import Detector


@pytest.fixture(scope="module")
def usual() -> np.ndarray:
    return quote_features(simulate_quotes(10_000, 100).quotes)[0]


@pytest.fixture(scope="module")
def market() -> SimulatedQuotes:
    """Another seed than any that the defaults were chosen on."""
    return simulate_quotes(15_000, 2024, 15)


@pytest.fixture(scope="module")
def fitted(usual: np.ndarray) -> Callable[[str], ScaledDetector]:
    known: dict[str, ScaledDetector] = {}

    def fit(name: str) -> ScaledDetector:
        if name not in known:
            known[name] = open_detector(name, QUOTE_FEATURES)
            known[name].fit(usual)
        return known[name]

    return fit


@pytest.fixture(params=sorted(DETECTORS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_finds_five_kinds(name: str, fitted: Callable[[str], ScaledDetector], market: SimulatedQuotes) -> None:
    """Precision and recall above .90 on heavy-tailed, autocorrelated quotes, and no kind is missed."""
    features = quote_features(market.quotes)[0]
    found = judge_alarms(fitted(name).score(features) > 1.0, market.injected)
    assert found.precision > 0.9, found
    assert found.recall > 0.9, found
    assert min(found.recall_by_kind[kind] for kind in KINDS) >= 0.7, found


def test_false_alarms_are_rare(name: str, fitted: Callable[[str], ScaledDetector]) -> None:
    """On 20,000 rows without any anomaly: fewer than 4 alarms in 10,000, of 1 that was asked for."""
    features = quote_features(simulate_quotes(20_000, 4096).quotes)[0]
    found = judge_alarms(fitted(name).score(features) > 1.0, ())
    assert found.n_false / 2.0 < 4.0


def test_rows_one_by_one_score_the_same(
    name: str, fitted: Callable[[str], ScaledDetector], market: SimulatedQuotes
) -> None:
    """A score takes nothing in; updates do, give the same scores, survive a restart, and say why they alarm."""
    detector = fitted(name)
    assert isinstance(detector, Detector)
    before = json.dumps(detector.state())
    event = market.injected[0]
    rows = quote_features(market.quotes)[0][event.begin - 20 : event.end + 20]
    expected = detector.score(rows)
    assert json.dumps(detector.state()) == before

    live = open_detector(name, QUOTE_FEATURES)
    live.restore(json.loads(before))
    verdicts = [live.update(row) for row in rows[:30]]
    other = open_detector(name, QUOTE_FEATURES)
    other.restore(json.loads(json.dumps(live.state())))
    verdicts += [other.update(row) for row in rows[30:]]
    np.testing.assert_allclose([v.score for v in verdicts], expected, rtol=1e-5, atol=1e-6)
    assert any(v.alarm for v in verdicts)
    for verdict in verdicts:
        assert verdict.alarm == (verdict.score > 1.0) == bool(verdict.reason)


def test_the_same_fit_again(name: str, usual: np.ndarray) -> None:
    """Equal rows and seeds give equal scores; a second fit forgets the first."""
    first, second = open_detector(name, QUOTE_FEATURES), open_detector(name, QUOTE_FEATURES)
    second.fit(usual[:800] * 2.0)
    first.fit(usual[:1200])
    second.fit(usual[:1200])
    np.testing.assert_array_equal(first.score(usual[1200:1400]), second.score(usual[1200:1400]))
    assert first.score(usual[:0]).shape == (0,)


def test_what_is_refused(name: str, fitted: Callable[[str], ScaledDetector], usual: np.ndarray) -> None:
    """No fit, too few rows, holes, the wrong width, constants, another's state: each error says so."""
    new = open_detector(name, QUOTE_FEATURES)
    for call, match in (
        (lambda: new.score(usual), "call fit first"),
        (lambda: new.update(usual[0]), "call fit first"),
        (lambda: new.state(), "call fit first"),
        (lambda: new.fit(usual[:50]), "50 rows; 500 or more"),
        (lambda: new.fit(np.full((600, 5), np.nan)), "NaN"),
        (lambda: new.fit(np.ones((600, 5))), "do not vary"),
        (lambda: new.fit(usual[:, :2]), "shape"),
        (lambda: new.restore({**fitted(name).state(), "kind": "other"}), "state is of other"),
        (lambda: open_detector(name, QUOTE_FEATURES, false_alarms=0.0), "false_alarms=0.0"),
    ):
        with pytest.raises(DataError, match=match):
            call()


def test_a_feature_that_stands_still(name: str, usual: np.ndarray) -> None:
    """One constant column is no obstacle, and does not alarm by itself."""
    rows = usual[:1500].copy()
    rows[:, 2] = 3.0
    detector = open_detector(name, QUOTE_FEATURES)
    detector.fit(rows[:1200])
    assert np.isfinite(detector.score(rows[1200:])).all()
    assert np.mean(detector.score(rows[1200:]) > 1.0) < 0.02
