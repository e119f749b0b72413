"""The market transformer explained: gradients, sampled SHAP values, and where it looks."""

from __future__ import annotations

import numpy as np
import pytest

from trader.explain.explainer import Explainer, UnsupportedMethodError
from trader.explain.instant import Instant, LocalScore
from trader.explain.permutation import permutation_shap
from trader.explain.sequence import transformer_of, window_gradients
from trader.explain.subject import subject_of
from trader.models.background import draw_background
from trader.models.base import create
from trader.models.ensemble import Ensemble
from trader.models.transformer_model import Transformer

NAMES = ("signal", "volatility_21d", "day_of_week", "noise")


@pytest.fixture(scope="module")
def market() -> np.ndarray:
    """Features of 700 instants of six symbols, some missing."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(700, 6, 4))
    features[..., 1] = np.abs(features[..., 1])
    features[..., 2] = (np.arange(700) % 5)[:, None]
    features[rng.random(features.shape) < 0.03] = np.nan
    return features


@pytest.fixture(scope="module")
def transformer(market: np.ndarray) -> Transformer:
    """Fitted on a lead-lag: what symbol 0 signalled moves all others one instant later."""
    target = np.random.default_rng(1).normal(scale=0.3, size=market.shape[:2])
    target[1:] += np.nan_to_num(market[:-1, :1, 0])
    model = Transformer(context=4, patch=2, d_model=16, n_heads=2, n_layers=1, epochs=8, batch_size=16, dropout=0.0)
    return model.fit_panel(market, target, feature_names=NAMES, seed=1)


@pytest.fixture(scope="module")
def ensemble(transformer: Transformer, market: np.ndarray) -> Ensemble:
    linear = create("linear").fit_panel(market, np.nan_to_num(market[..., 0]), feature_names=NAMES)
    background = draw_background(market.reshape(-1, 4), 0, source="of a test")
    return Ensemble(
        {"transformer@1": transformer, "linear@1": linear},
        (3.0, 1.0),
        scales={"transformer@1": 0.5, "linear@1": 0.2},
        background=background,
    )


def instant_of(market: np.ndarray, at: int, chosen: list[int]) -> Instant:
    return Instant.of(market[at], past=market[at - 3 : at], chosen=np.array(chosen))


def test_many_windows_score_as_one(transformer: Transformer, market: np.ndarray) -> None:
    """Panels scored eight at a time give the bits of each alone, abstentions included."""
    panels = np.stack([market[at - 3 : at + 1] for at in range(10, 29)])
    panels[3, -1, 2] = np.nan
    together = transformer.predict_windows(panels)
    alone = np.concatenate([transformer.predict_panel(panel, 3) for panel in panels])
    assert np.isnan(together[3, 2])
    assert np.array_equal(together, alone, equal_nan=True)


def test_gradients_complete_the_score(ensemble: Ensemble, market: np.ndarray) -> None:
    """Base and values are the member's score in the ensemble; the calendar, held as it is, adds nothing."""
    assert ensemble.background is not None
    explainer = Explainer(ensemble, ensemble.background)
    found = explainer.explain(instant_of(market, 50, [0, 3, 5]), "ig", "transformer")
    prediction = ensemble(market[47:51], 3).members["transformer@1"][0, [0, 3, 5]]
    assert found.score == pytest.approx(prediction, rel=1e-12)
    assert found.base + found.values.sum(axis=1) == pytest.approx(prediction, rel=5e-3, abs=1e-4)
    assert not found.values[:, NAMES.index("day_of_week")].any()
    assert "mean in training" in found.background


def test_gradients_find_the_leader(transformer: Transformer, market: np.ndarray) -> None:
    """For a follower most of the attribution is the leader's signal, one instant before the last."""
    subject = subject_of(transformer)
    assert transformer_of(subject) is transformer
    shares = np.zeros((4, 6, 4))
    for at in range(60, 75):
        found = window_gradients(subject, transformer, instant_of(market, at, [3]), 3)
        assert found.values.sum() == pytest.approx(found.score - found.base, abs=5e-3)
        shares += np.abs(found.values)
    strongest = np.unravel_index(np.argmax(shares), shares.shape)
    assert strongest == (2, 0, 0)


def test_gradients_are_those_of_the_score(transformer: Transformer, market: np.ndarray) -> None:
    """Between close windows the attribution is the change of the score: a finite difference is the oracle."""
    subject = subject_of(transformer)
    at, step = 80, 0.05
    moved = market.copy()
    encoder = transformer.encoder
    moved[at, 1, 0] = encoder.center[0] + step / encoder.inverse_scale[0]
    calm = moved.copy()
    calm[at, 1, 0] = encoder.center[0]
    before, after = (transformer.predict_panel(panel[at - 3 : at + 1], 3)[0, 2] for panel in (calm, moved))
    low, high = (
        window_gradients(subject, transformer, instant_of(panel, at, [2]), 2).values for panel in (calm, moved)
    )
    assert low[3, 1, 0] == 0.0
    assert (high - low).sum() == pytest.approx(after - before, abs=2e-4)


def test_sampled_values_add_up_within_their_windows(transformer: Transformer, market: np.ndarray) -> None:
    """Permutation SHAP of a sequence model is additive to rounding, however few the samples are."""
    subject = subject_of(transformer)
    background = draw_background(np.nan_to_num(market.reshape(-1, 4)), 0, source="of a test", n_rows=3)
    instant = instant_of(market, 90, [4])
    estimate = permutation_shap(LocalScore(subject, instant, 4), background.rows, np.random.default_rng(0))
    score = transformer.predict_panel(market[87:91], 3)[0, 4]
    assert estimate.base + estimate.values.sum() == pytest.approx(score, abs=1e-12)


def test_ensembles_with_a_transformer_are_explained_by_shap(ensemble: Ensemble, market: np.ndarray) -> None:
    """The ensemble's values are the exact ones of the linear member and sampled ones of the transformer."""
    assert ensemble.background is not None
    explainer = Explainer(ensemble, ensemble.background)
    instant = instant_of(market, 100, [2])
    whole = explainer.explain(instant)
    parts = {key: explainer.explain(instant, member=key) for key in ensemble.members}
    total = 0.75 * parts["transformer@1"].values + 0.25 * parts["linear@1"].values
    assert whole.values == pytest.approx(total, abs=1e-12)
    assert whole.standard_error is not None
    assert parts["linear@1"].standard_error is None
    assert whole.score[0] == ensemble(market[97:101], 3).score[0, 2]
    assert "permutation" in whole.algorithm
    assert "closed form" in whole.algorithm


def test_gradients_are_of_one_network(ensemble: Ensemble) -> None:
    """An ensemble has no gradient of its own; the error names the member that has."""
    assert ensemble.background is not None
    explainer = Explainer(ensemble, ensemble.background)
    with pytest.raises(UnsupportedMethodError, match="name its member transformer@1"):
        explainer.explain(Instant.of(np.zeros((2, 4))), "ig")
