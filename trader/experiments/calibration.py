"""Whether the scores of champion and challenger mean what they say: what followed, beside what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trader.experiments.book import Experiment
from trader.experiments.spec import ExperimentSpec
from trader.models.targets import scaled_target
from trader.storage import DecisionTable, Store, VariantMark
from trader.storage.codec import pack, unpack
from trader.validation.score_calibration import ScoreCalibration, score_calibration

__all__ = ["calibrations", "look_at_calibration", "own_scores"]

FloatArray = NDArray[np.float64]


def look_at_calibration(store: Store, experiment: Experiment) -> dict[str, ScoreCalibration]:
    """Return the calibration of both versions so far; empty before a run has joined the experiment and decided.

    The outcome is what the models of the run were trained to predict: the return over the horizon, from the price that
    a decision can trade at, in units of the symbol's own volatility.
    """
    if experiment.run_id is None:
        return {}
    decisions, run = store.decisions(experiment.run_id), store.run(experiment.run_id)
    if not len(decisions):
        return {}
    horizon = int(run.settings.get("models", {}).get("horizon", 1))
    outcome = scaled_target(decisions.prices, horizon)
    return calibrations(experiment.spec, store.variant_marks(experiment.run_id), decisions, outcome)


def calibrations(
    spec: ExperimentSpec, marks: Sequence[VariantMark], decisions: DecisionTable, outcome: FloatArray
) -> dict[str, ScoreCalibration]:
    """Return the calibration of champion and challenger by reference.

    Parameters
    ----------
    spec : ExperimentSpec
    marks : sequence of VariantMark
    decisions : DecisionTable
    outcome : ndarray of shape (n_decisions, n_symbols)
        In units of the score; NaN where unknown.
    """
    scores = own_scores(spec, marks, decisions)
    return {ref: score_calibration(score, outcome) for ref, score in scores.items()}


def own_scores(
    spec: ExperimentSpec, marks: Sequence[VariantMark], decisions: DecisionTable
) -> Mapping[str, FloatArray]:
    """Return what the two versions said, shape (n_decisions, n_symbols); NaN where they did not.

    A shadow's are in the marks, because it is asked when the decision is made; all others are in the decisions.
    """
    unknown = np.full(decisions.prices.shape, np.nan)
    challenger = decisions.members.get(spec.challenger, unknown)
    said = {mark.seq: mark.own_score for mark in marks if mark.own_score is not None}
    if said:
        nothing = pack(np.full(decisions.prices.shape[1], np.nan))
        challenger = unpack([said.get(seq, nothing) for seq in decisions.seq.tolist()], decisions.prices.shape)
    return {spec.champion: decisions.members.get(spec.champion, unknown), spec.challenger: challenger}
