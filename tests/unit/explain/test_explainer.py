"""The way in: subjects, the cache, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trader.core.errors import DataError, NotFoundError
from trader.core.protocols import Model
from trader.explain.cache import CacheCounts, ExplanationCache
from trader.explain.explainer import Explainer, ExplainSettings, UnsupportedMethodError
from trader.explain.instant import Instant, LocalScore
from trader.explain.results import Attribution
from trader.explain.subject import Part, Subject, model_fingerprint, subject_of
from trader.models.artifacts import load_ensemble, save_ensemble
from trader.models.background import Background
from trader.models.base import create
from trader.models.ensemble import Ensemble


def equal(one: Attribution, other: Attribution) -> bool:
    """Return whether two explanations say the same to the bit, their seconds apart."""
    mine, theirs = ({k: v for k, v in a.to_dict().items() if k != "seconds"} for a in (one, other))
    return repr(mine) == repr(theirs)


def test_members_are_found_by_key_and_by_name(ensemble: Ensemble) -> None:
    """`linear@1` and `linear` are one; `ensemble` and None are the whole; others are unknown, with what is known."""
    assert subject_of(ensemble, "linear").name == subject_of(ensemble, "linear@1").name == "linear@1"
    assert subject_of(ensemble, "ensemble") == subject_of(ensemble)
    with pytest.raises(NotFoundError, match="allowed are momentum@1, linear@1, boosting@1, ensemble"):
        subject_of(ensemble, "forest")
    with pytest.raises(NotFoundError, match="a single model has none"):
        subject_of(ensemble.members["linear@1"], "linear")
    with pytest.raises(DataError, match="not fitted"):
        subject_of(create("linear"))


def test_a_name_of_two_members_is_ambiguous(ensemble: Ensemble) -> None:
    """Two versions of a model are told apart by their keys only."""
    one = ensemble.members["linear@1"]
    twins = Ensemble({"linear@1": one, "linear@2": one})
    with pytest.raises(NotFoundError, match="more than one of linear@1, linear@2"):
        subject_of(twins, "linear")


def test_a_single_model_is_its_own_ensemble(ensemble: Ensemble, rows: np.ndarray) -> None:
    """Explained alone a model has its own scores, to the bit."""
    model = ensemble.members["boosting@1"]
    subject = subject_of(model, name="boosting@2.0.0")
    assert subject.name == "boosting@2.0.0"
    assert np.array_equal(subject.scores(rows[None])[0], model.predict_panel(rows[None])[0], equal_nan=True)


def test_fingerprints_follow_content(ensemble: Ensemble, tmp_path: Path) -> None:
    """A saved and loaded ensemble is the same subject; another weight, scale or member is another."""
    save_ensemble(ensemble, tmp_path / "models")
    loaded = load_ensemble(tmp_path / "models")
    assert subject_of(loaded).sha256 == subject_of(ensemble).sha256
    digests = {
        subject_of(ensemble).sha256,
        subject_of(ensemble, "linear").sha256,
        subject_of(Ensemble(ensemble.members, scales=ensemble.scales)).sha256,
        subject_of(Ensemble(ensemble.members, (1.0, 2.0, 3.0))).sha256,
    }
    assert len(digests) == 4
    assert model_fingerprint(ensemble.members["linear@1"]) == loaded.metadata["content_hash"]["linear@1"]


def test_equal_questions_are_answered_from_memory(ensemble: Ensemble, background: Background, rows: np.ndarray) -> None:
    """The answer is the very object; every part of the question makes it another one."""
    explainer = Explainer(ensemble, background)
    first = explainer.explain(Instant.of(rows[:3]))
    assert explainer.explain(Instant.of(rows[:3].copy())) is first
    explainer.explain(Instant.of(rows[:3]), "lime")
    explainer.explain(Instant.of(rows[:3]), member="linear")
    explainer.explain(Instant.of(rows[:3], chosen=np.array([1])))
    explainer.explain(Instant.of(rows[1:4]))
    assert explainer.cache.counts == CacheCounts(hits=1, misses=5, unreadable=0)
    other = Explainer(ensemble, Background(rows[:9], "of a test"), cache=explainer.cache)
    assert other.explain(Instant.of(rows[:3])) is not first
    seeded = Explainer(ensemble, background, settings=ExplainSettings(seed=5), cache=explainer.cache)
    assert seeded.explain(Instant.of(rows[:3])) is not first


def test_the_least_recently_used_is_forgotten(ensemble: Ensemble, background: Background, rows: np.ndarray) -> None:
    """Beyond its capacity the cache drops what was not asked for longest."""
    explainer = Explainer(ensemble, background, cache=ExplanationCache(2))
    for start in (0, 1, 0, 2, 0, 1):  # keeps 0, 1; then 0, 2; then 0, 1 again
        explainer.explain(Instant.of(rows[start : start + 1]))
    assert explainer.cache.counts == CacheCounts(hits=2, misses=4, unreadable=0)


@pytest.mark.parametrize("method", ["shap", "lime"])
def test_explanations_survive_on_disk(
    ensemble: Ensemble, background: Background, rows: np.ndarray, tmp_path: Path, method: str
) -> None:
    """Another process reads the same bits; nothing but plain arrays is stored."""
    features = rows[:3].copy()
    features[1] = np.nan
    written = Explainer(ensemble, background, cache=ExplanationCache(folder=tmp_path / "cache"))
    first = written.explain(Instant.of(features), method)
    read = Explainer(ensemble, background, cache=ExplanationCache(folder=tmp_path / "cache"))
    assert equal(read.explain(Instant.of(features), method), first)
    assert read.cache.counts == CacheCounts(hits=1, misses=0, unreadable=0)
    (file,) = (tmp_path / "cache").iterdir()
    with np.load(file, allow_pickle=False) as stored:
        assert "values" in stored.files


@pytest.mark.parametrize("content", [b"", b"{", b"PK\x03\x04 not a zip"])
def test_unreadable_files_are_computed_anew(
    ensemble: Ensemble, background: Background, rows: np.ndarray, tmp_path: Path, content: bytes
) -> None:
    """A damaged file is counted, and replaced."""
    first = Explainer(ensemble, background, cache=ExplanationCache(folder=tmp_path)).explain(Instant.of(rows[:2]))
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    again = Explainer(ensemble, background, cache=ExplanationCache(folder=tmp_path))
    assert equal(again.explain(Instant.of(rows[:2])), first)
    assert again.cache.counts == CacheCounts(hits=0, misses=1, unreadable=1)
    third = Explainer(ensemble, background, cache=ExplanationCache(folder=tmp_path))
    assert equal(third.explain(Instant.of(rows[:2])), first)
    assert third.cache.counts.hits == 1


def test_missing_and_infinite_are_one_question(ensemble: Ensemble, background: Background, rows: np.ndarray) -> None:
    """Infinite features are missing, and asked about as such."""
    holed, infinite = rows[:2].copy(), rows[:2].copy()
    holed[:, 2], infinite[:, 2] = np.nan, -np.inf
    explainer = Explainer(ensemble, background)
    assert explainer.explain(Instant.of(infinite)) is explainer.explain(Instant.of(holed))


def test_what_cannot_be_explained_is_refused(ensemble: Ensemble, background: Background, rows: np.ndarray) -> None:
    """Unknown methods, methods without gradients, other columns, other positions: each names what is allowed."""
    explainer = Explainer(ensemble, background)
    with pytest.raises(UnsupportedMethodError, match="method='guess' is unknown; allowed are shap, lime, ig"):
        explainer.explain(Instant.of(rows[:1]), "guess")
    with pytest.raises(UnsupportedMethodError, match="gradients"):
        explainer.explain(Instant.of(rows[:1]), "ig")
    with pytest.raises(DataError, match="2 columns; the model has 5"):
        explainer.explain(Instant.of(rows[:1, :2]))
    with pytest.raises(DataError, match="background has 3 columns; the model has 5"):
        Explainer(ensemble, Background(rows[:5, :3], "of a test"))
    with pytest.raises(DataError, match=r"chosen=\[2\]"):
        Instant.of(rows[:2], chosen=np.array([2]))
    with pytest.raises(DataError, match=r"past has shape \(3, 1, 5\)"):
        Instant.of(rows[:2], past=np.zeros((3, 1, 5)))


class Mean:
    """A sequence model: the mean of its first feature over three instants, plus that of all symbols' second."""

    name = "mean"
    feature_names = ("a", "b")
    context = 3

    def predict_panel(self, features: np.ndarray, n_context: int = 0) -> np.ndarray:
        """Score all but the first instants; what is before them counts as 0."""
        padded = np.concatenate([np.zeros((2, *features.shape[1:])), features])
        own = np.stack([padded[at : at + features.shape[0], :, 0] for at in range(3)]).mean(axis=0)
        scores: np.ndarray = (own + features[..., 1].mean(axis=1, keepdims=True))[n_context:]
        return scores


def test_sequence_models_are_explained_by_their_own_window() -> None:
    """A replaced feature is replaced at all instants of the symbol's own window; the other symbols stay."""
    model: Model = Mean()  # type: ignore[assignment]
    subject = Subject("mean", (Part("mean", model, 1.0, 1.0),), "")
    rng = np.random.default_rng(0)
    past, now = rng.normal(size=(5, 4, 2)), rng.normal(size=(4, 2))
    local = LocalScore(subject, Instant.of(now, past=past), 2)
    keep = np.array([[True, True], [False, True], [True, False]])
    scores = local.replaced(keep, np.array([[9.0, 9.0]] * 3))
    own = np.array([*past[-2:, 2, 0], now[2, 0]]).mean()
    others = now[[0, 1, 3], 1].sum() / 4.0
    assert scores == pytest.approx([own + now[2, 1] / 4 + others, 9.0 + now[2, 1] / 4 + others, own + 9 / 4 + others])
    shifted = local.shifted(np.array([[1.0, 0.0], [0.0, 4.0]]))
    assert shifted - scores[0] == pytest.approx([1.0, 1.0])


def test_sequence_models_get_sampled_values_that_add_up() -> None:
    """Additive as the score is in the symbol's own features, the values are its terms against the background."""
    from trader.explain.shap import shap_values

    model: Model = Mean()  # type: ignore[assignment]
    subject = Subject("mean", (Part("mean", model, 1.0, 2.0),), "")
    rng = np.random.default_rng(0)
    past, now = rng.normal(size=(2, 4, 2)), rng.normal(size=(4, 2))
    background = Background(rng.normal(size=(6, 2)), "of a test")
    found = shap_values(subject, Instant.of(now, past=past, chosen=np.array([3, 0])), background)
    for row, symbol in enumerate((3, 0)):
        own = np.array([*past[:, symbol, 0], now[symbol, 0]]).mean()
        want = [2.0 * (own - background.rows[:, 0].mean()), 0.5 * (now[symbol, 1] - background.rows[:, 1].mean())]
        assert found.values[row] == pytest.approx(want, abs=1e-12)
    assert found.additivity_error.max() < 1e-12
    assert "constant over the symbol's own window" in found.background
