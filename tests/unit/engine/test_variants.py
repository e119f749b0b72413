"""An experiment beside the loop: who trades what, what a failing challenger changes, and how it is gone on with."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support.trading import random_panel
from trader.core.errors import ServiceUnavailableError
from trader.core.protocols import Prediction
from trader.engine.variants import Variants
from trader.experiments.assignment import Variant, assign
from trader.experiments.spec import ExperimentSpec
from trader.pipeline import DecisionLoop
from trader.settings import ExecutionSettings, GateSettings, SizingSettings
from trader.storage import ShareChange, VariantMark

N_SYMBOLS = 6
SYMBOLS = [f"S{n}" for n in range(N_SYMBOLS)]
AB = ExperimentSpec("e", "linear@1.0.0", "linear@1.1.0", challenger_share=0.5)
SHADOW = ExperimentSpec("e", "linear@1.0.0", "linear@1.1.0", kind="shadow", challenger_share=0.0)


class _Challenger:
    """Scores by the first feature; fails while told to."""

    context = 1

    def __init__(self) -> None:
        self.fails = False
        self.calls = 0

    def __call__(self, features: np.ndarray, n_context: int = 0) -> Prediction:
        self.calls += 1
        if self.fails:
            raise ServiceUnavailableError("no replica answers")
        score = features[n_context:, :, 0]
        return Prediction(score, {"linear@1.1.0": score})


def _loop() -> DecisionLoop:
    return DecisionLoop(N_SYMBOLS, sizing=SizingSettings(), execution=ExecutionSettings(), gate=GateSettings())


def _variants(spec: ExperimentSpec = AB) -> tuple[Variants, _Challenger]:
    challenger = _Challenger()
    return Variants(spec, SYMBOLS, challenger, (_loop(), _loop())), challenger


@pytest.fixture(scope="module")
def day() -> tuple[np.ndarray, np.ndarray, object]:
    """Features (60, 6, 1), the champion's scores (60, 6), and the bars of the same instants."""
    rng = np.random.default_rng(4)
    return (
        rng.normal(size=(60, N_SYMBOLS, 1)),
        rng.normal(size=(60, N_SYMBOLS)),
        random_panel(60, N_SYMBOLS, 1, bars=True),
    )


def _champion(score: np.ndarray) -> Prediction:
    return Prediction(score, {"linear@1.0.0": score})


def _equity(score: np.ndarray, panel: object) -> list[float]:
    return np.concatenate([block.equity for block in _loop().steps(0, panel, score, {})]).tolist()  # type: ignore[arg-type]


def test_symbols_are_scored_by_their_variant(day: tuple) -> None:
    """Half of the symbols by each, as assigned; both variants' scores are recorded."""
    features, score, panel = day
    variants, _ = _variants()
    got = variants.score(_champion(score), features, 0, 0, panel)
    mine = assign(SYMBOLS, AB.split) == Variant.CHALLENGER
    assert 0 < mine.sum() < N_SYMBOLS
    np.testing.assert_array_equal(got.score[:, mine], features[:, mine, 0])
    np.testing.assert_array_equal(got.score[:, ~mine], score[:, ~mine])
    np.testing.assert_array_equal(got.members["linear@1.1.0"], features[:, :, 0])


def test_each_virtual_portfolio_trades_its_variant_alone(day: tuple) -> None:
    """To the bit what a loop of its own would have earned on all symbols; agreement is what numpy counts."""
    features, score, panel = day
    variants, _ = _variants(SHADOW)
    variants.score(_champion(score), features, 0, 0, panel)
    marks, changes = variants.trade(0, panel)
    assert changes == []
    assert [mark.seq for mark in marks] == list(range(60))
    assert [mark.champion for mark in marks] == _equity(score, panel)
    assert [mark.challenger for mark in marks] == _equity(features[:, :, 0], panel)
    equal = (np.sign(score) == np.sign(features[:, :, 0])).mean(axis=1)
    assert [mark.sign_agreement for mark in marks] == pytest.approx(equal.tolist())
    assert [mark.own_score for mark in marks] == [row.tobytes() for row in features[:, :, 0]]


def test_a_failing_challenger_changes_nothing(day: tuple) -> None:
    """The champion is traded for all symbols; the challenger loses its share, and is asked and compared no more."""
    features, score, panel = day
    variants, challenger = _variants()
    challenger.fails = True
    marks: list[VariantMark] = []
    changes: list[ShareChange] = []
    for row in range(60):
        one = panel.rows(row, row + 1)
        got = variants.score(_champion(score[row : row + 1]), features[row : row + 1], 0, row, one)
        np.testing.assert_array_equal(got.score, score[row : row + 1])
        assert np.isnan(got.members["linear@1.1.0"]).all()
        new, changed = variants.trade(row, one)
        marks, changes = marks + new, changes + changed
    assert variants.unanswered == 2
    assert [(change.seq, change.share) for change in changes] == [(2, 0.0)]
    assert "unanswered is 2.00%, above 1.00%" in changes[0].reason
    assert [(mark.share, mark.units) for mark in marks] == [(0.5, 0)] * 2
    assert challenger.calls == 2
    assert all(mark.sign_agreement is None and mark.champion == mark.challenger for mark in marks)


def test_it_goes_on_from_its_state(day: tuple) -> None:
    """Stopped in the middle and gone on with from JSON: the marks of one that was not stopped."""
    features, score, panel = day

    def run(variants: Variants, first: int, end: int) -> list[VariantMark]:
        rows = panel.rows(first, end)
        variants.score(_champion(score[first:end]), features[first:end], 0, first, rows)
        return variants.trade(first, rows)[0]

    whole = run(_variants()[0], 0, 60)
    stopped, _ = _variants()
    begun = run(stopped, 0, 25)
    resumed, _ = _variants()
    resumed.restore(json.loads(json.dumps(stopped.state())), np.empty((0, 3)))
    assert begun + run(resumed, 25, 60) == whole
