"""A challenger that the run has rolled back: it is asked no more, whatever number of instants comes at once."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.trading import random_panel
from trader.core.protocols import LeftOut, Prediction
from trader.engine.variants import Variants
from trader.experiments.assignment import Variant, assign
from trader.experiments.spec import ExperimentSpec
from trader.pipeline import DecisionLoop
from trader.settings import ExecutionSettings, GateSettings, SizingSettings
from trader.storage import ShareChange, VariantMark

N_SYMBOLS, N_DAYS = 6, 120
SYMBOLS = [f"S{n}" for n in range(N_SYMBOLS)]
SPEC = ExperimentSpec("e", "linear@1.0.0", "linear@1.1.0", challenger_share=0.5)


class _Poor:
    """Scores by the first feature; without its own model from a call on."""

    context = 1

    def __init__(self, silent_from: int = N_DAYS) -> None:
        self.calls = 0
        self._silent_from = silent_from

    def __call__(self, features: np.ndarray, n_context: int = 0) -> Prediction:
        self.calls += 1
        left_out: dict[str, LeftOut] = {"linear@1.1.0": "failed"} if self.calls > self._silent_from else {}
        score = features[n_context:, :, 0]
        return Prediction(score, {"momentum@1.0.0": score, "linear@1.1.0": score}, left_out)


def _variants(challenger: _Poor) -> Variants:
    loops = [
        DecisionLoop(N_SYMBOLS, sizing=SizingSettings(), execution=ExecutionSettings(), gate=GateSettings())
        for _ in range(2)
    ]
    return Variants(SPEC, SYMBOLS, challenger, (loops[0], loops[1]))


def _run(variants: Variants, size: int) -> tuple[np.ndarray, np.ndarray, list[VariantMark], list[ShareChange]]:
    """Return traded and own scores, shape (n_days, n_symbols), marks and changes of a run in batches of `size`."""
    panel = random_panel(N_DAYS, N_SYMBOLS, 1, bars=True)
    ahead = np.diff(np.log(panel.close), axis=0, append=np.nan)
    features = -np.nan_to_num(ahead + np.roll(ahead, -1, axis=0))[..., None]  # nobody could be more wrong
    champion = np.random.default_rng(4).normal(size=features.shape)
    traded, own = [], []
    marks: list[VariantMark] = []
    changes: list[ShareChange] = []
    for first in range(0, N_DAYS, size):
        rows = slice(first, first + size)
        said = Prediction(champion[rows, :, 0], {"linear@1.0.0": champion[rows, :, 0]})
        part = panel.rows(first, first + size)
        got = variants.score(said, features[rows], 0, first, part)
        new, changed = variants.trade(first, part)
        traded.append(got.score)
        own.append(got.members["linear@1.1.0"])
        marks += new
        changes += changed
    return np.concatenate(traded), np.concatenate(own), marks, changes


def test_it_is_asked_no_more() -> None:
    """The last mark is that of the decision that cost it its share; the champion is traded for all from then on."""
    challenger = _Poor()
    variants = _variants(challenger)
    traded, own, marks, (change,) = _run(variants, 1)
    assert 40 < change.seq < N_DAYS - 20
    assert change.reason.startswith("rolled back: drawdown beyond the champion's is ")
    assert challenger.calls == len(marks) == change.seq
    assert marks[-1].seq == change.seq - 1
    assert np.isnan(own[change.seq :]).all()
    assert np.isfinite(own[: change.seq]).all()
    assert variants.unanswered == 0
    mine = assign(SYMBOLS, SPEC.split) == Variant.CHALLENGER
    np.testing.assert_array_equal(traded[: change.seq, mine], own[: change.seq, mine])
    champion = np.random.default_rng(4).normal(size=(N_DAYS, N_SYMBOLS, 1))[..., 0]
    np.testing.assert_array_equal(traded[change.seq :], champion[change.seq :])


@pytest.mark.parametrize("size", [7, N_DAYS])
def test_batches_change_nothing(size: int) -> None:
    """Where its last instants come with others it is asked for all of them, and nothing shows of it."""
    traded, own, marks, changes = _run(_variants(_Poor()), 1)
    at_once = _run(_variants(_Poor()), size)
    np.testing.assert_array_equal(at_once[0], traded)
    np.testing.assert_array_equal(at_once[1], own)
    assert at_once[2:] == (marks, changes)


def test_an_answer_without_its_own_model_is_none() -> None:
    """The other members alone are not what the experiment compares: the instants count as unanswered."""
    variants = _variants(_Poor(silent_from=30))
    _, own, marks, (change,) = _run(variants, 1)
    assert (change.seq, variants.unanswered) == (32, 2)
    assert "unanswered is 2.00%" in change.reason
    assert [mark.answered for mark in marks] == [True] * 30 + [False] * 2
    assert np.isnan(own[30:]).all()
