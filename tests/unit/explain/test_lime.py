"""LIME: fits against the lime package on the same samples, and slopes against known ones."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tests.support.explaining import NAMES
from trader.core.errors import DataError
from trader.explain.instant import Instant
from trader.explain.lime import Bins, LimeSettings, fit_local, lime_values
from trader.explain.subject import Subject, subject_of
from trader.models.background import Background
from trader.models.ensemble import Ensemble


@pytest.fixture(scope="module")
def whole(rows: np.ndarray) -> np.ndarray:
    """Rows in which everything is known; the package knows no missing values."""
    return rows[np.isfinite(rows).all(axis=1)]


def lime_package(training: np.ndarray, row: np.ndarray, subject: Subject, discretise: bool) -> tuple[Any, np.ndarray]:
    """Return the package's explanation and the samples it asked scores for."""
    lime_tabular = pytest.importorskip("lime.lime_tabular")
    asked: list[np.ndarray] = []

    def score(samples: np.ndarray) -> np.ndarray:
        asked.append(samples.copy())
        return subject.scores(samples[None])[0]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explainer = lime_tabular.LimeTabularExplainer(
            training,
            mode="regression",
            feature_names=list(NAMES),
            discretize_continuous=discretise,
            feature_selection="none",
            sample_around_instance=True,
            random_state=1,
        )
        found = explainer.explain_instance(row, score, num_features=5, num_samples=3000)
    return found, asked[0]


def test_slopes_are_those_of_the_package_on_its_samples(ensemble: Ensemble, whole: np.ndarray) -> None:
    """The same samples, weights and penalty give the package's coefficients, intercept and R²."""
    subject = subject_of(ensemble, "boosting")
    for row in whole[5:8]:
        found, samples = lime_package(whole, row, subject, discretise=False)
        center, scale = whole.mean(axis=0), whole.std(axis=0)
        z = (samples - center) / scale
        distance = np.sqrt(((z - z[0]) ** 2).sum(axis=1))
        fit = fit_local(z, subject.scores(samples[None])[0], distance, LimeSettings())
        want = dict(found.local_exp[1])
        assert fit.coefficients == pytest.approx([want[j] for j in range(5)], rel=1e-6, abs=1e-9)
        assert fit.intercept == pytest.approx(found.intercept[1], rel=1e-6)
        assert fit.fidelity == pytest.approx(found.score, rel=1e-6)


def test_quartile_terms_are_those_of_the_package_on_its_samples(ensemble: Ensemble, whole: np.ndarray) -> None:
    """Our bins of the package's samples, and our fit, give the package's weights."""
    subject = subject_of(ensemble, "boosting")
    row = whole[9]
    found, samples = lime_package(whole, row, subject, discretise=True)
    bins = Bins(whole)
    stayed = (bins.of(samples) == bins.of(row[None])).astype(float)
    distance = np.sqrt((1.0 - stayed).sum(axis=1))
    fit = fit_local(stayed, subject.scores(samples[None])[0], distance, LimeSettings())
    want = dict(found.local_exp[1])
    assert fit.coefficients == pytest.approx([want[j] for j in range(5)], rel=1e-6, abs=1e-9)
    assert fit.intercept == pytest.approx(found.intercept[1], rel=1e-6)


@pytest.mark.parametrize("discretise", [False, True])
def test_own_samples_agree_with_the_package(ensemble: Ensemble, whole: np.ndarray, discretise: bool) -> None:
    """With samples of our own the large terms keep the package's order and sign."""
    subject = subject_of(ensemble, "linear")
    row = whole[12]
    found, _ = lime_package(whole, row, subject, discretise)
    settings = LimeSettings(n_samples=4000, discretise=discretise)
    ours = lime_values(subject, Instant.of(row[None]), Background(whole, "of a test"), settings, seed=3)
    want = np.array([dict(found.local_exp[1])[j] for j in range(5)])
    if not discretise:
        want = want * (row - whole.mean(axis=0)) / whole.std(axis=0)
    large = np.abs(want) > 0.2 * np.abs(want).max()
    assert large.sum() >= 2
    assert np.array_equal(np.sign(ours.values[0][large]), np.sign(want[large]))
    assert ours.values[0] == pytest.approx(want, abs=0.15 * np.abs(want).max())


def test_a_linear_score_is_recovered(ensemble: Ensemble, background: Background, rows: np.ndarray) -> None:
    """Where the score is linear the terms are coefficient times z-score, and the fit is perfect."""
    member = ensemble.members["linear@1"]
    subject = subject_of(ensemble, "linear")
    row = np.array([[0.1, -0.2, 0.15, 0.0, 0.05]])
    narrow = Background(np.vstack([row - 0.01, row + 0.01, row]), "of a test")
    found = lime_values(subject, Instant.of(row), narrow, LimeSettings(alpha=0.0))
    factor = subject.parts[0].factor
    slope = factor * member.coefficients * member.inverse_scale  # type: ignore[attr-defined]
    want = slope * (row[0] - narrow.rows.mean(axis=0))
    assert found.values[0] == pytest.approx(want, abs=1e-9)
    assert found.fidelity == pytest.approx([1.0])
    assert found.additivity_error[0] < 1e-9


def test_missing_features_stay_missing(ensemble: Ensemble, background: Background, rows: np.ndarray) -> None:
    """A missing feature has a term of 0; rows that the model abstains on have none at all."""
    features = rows[:2].copy()
    features[0, 3] = np.nan
    features[1] = np.nan
    for discretise in (False, True):
        settings = LimeSettings(n_samples=300, discretise=discretise)
        found = lime_values(subject_of(ensemble), Instant.of(features), background, settings)
        assert found.values[0, 3] == 0.0
        assert np.isfinite(found.values[0]).all()
        assert np.isnan(found.values[1]).all()


def test_a_poor_fit_is_said_to_be_one(ensemble: Ensemble, rows: np.ndarray) -> None:
    """Far from linear over the whole background, trees are fitted badly by a wide line: the warning counts rows."""
    settings = LimeSettings(n_samples=500, kernel_width=100.0)
    wide = Background(100.0 * np.nan_to_num(rows), "of a test")
    found = lime_values(subject_of(ensemble, "boosting"), Instant.of(rows[:6]), wide, settings)
    assert found.fidelity is not None
    poor = int((found.fidelity < 0.5).sum())
    assert poor > 0
    assert any(f"around {poor} rows" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"n_samples": 1}, "n_samples=1"), ({"kernel_width": 0.0}, "kernel_width"), ({"alpha": -1.0}, "alpha")],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    """Each names itself and what is allowed."""
    with pytest.raises(DataError, match=message):
        LimeSettings(**change)
