"""From a market with a planted signal to a judged, registered candidate, and the league of several."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from trader.core.errors import DataError, ModelError, SettingsError
from trader.core.market import BarPanel
from trader.engine.evaluation import Evaluation, evaluate
from trader.engine.league import ENSEMBLE, run_league
from trader.engine.members import registered_members
from trader.engine.paths import run_paths
from trader.engine.registration import REPORT_FILE, previous_trials, register_candidate
from trader.engine.training_set import Past, load_past
from trader.engine.trial import trade_scores
from trader.models.background import BACKGROUND_FILE, Background
from trader.models.candidate import Candidate, train_candidate
from trader.models.targets import forward_returns
from trader.registry import Registry, State
from trader.settings import Settings, load_settings
from trader.storage import Store


def _settings(folder: Path) -> Settings:
    return load_settings(
        None,
        None,
        {
            "feed": {"kind": "simulated", "simulation": {"n_symbols": 8, "n_days": 900}},
            "models": {"horizon": 1, "n_splits": 3, "embargo": 5},
            "sizing": {"rebalance_every": 1},
            "registry": {"artifacts": str(folder / "models")},
            "run": {"runs_dir": folder / "runs"},
        },
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("candidates")


@pytest.fixture(scope="module")
def past(folder: Path) -> Past:
    return load_past(_settings(folder))


@pytest.fixture(scope="module")
def candidate(past: Past) -> Candidate:
    return train_candidate(past.data, "linear", settings=past.settings.models, seed=1)


@pytest.fixture(scope="module")
def evaluation(candidate: Candidate, past: Past) -> Evaluation:
    return evaluate(candidate, past, n_trials=3)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path}/registry.db", synchronous="normal")


def test_forecasts_are_out_of_sample_only(candidate: Candidate, past: Past) -> None:
    """Only test folds are forecast, and a label changed inside one changes no forecast of that fold or before."""
    tested = np.concatenate([fold.test for fold in candidate.folds])
    scored = np.flatnonzero(np.isfinite(candidate.forecast.score).any(axis=1))
    assert set(scored) <= set(tested)
    middle = candidate.folds[1].test
    target = past.data.target.copy()
    target[middle] = -target[middle] + 3.0
    ruined = dataclasses.replace(past.data, target=target)
    again = train_candidate(ruined, "linear", settings=past.settings.models, seed=1)
    upto = middle[-1] + 1
    assert np.array_equal(again.forecast.score[:upto], candidate.forecast.score[:upto], equal_nan=True)
    later = candidate.folds[2].test
    assert not np.array_equal(again.forecast.score[later], candidate.forecast.score[later], equal_nan=True)


def test_knowing_the_future_is_suspect(candidate: Candidate, past: Past) -> None:
    """Scores made of the target are stamped, and the feature that leaks is named."""
    data = past.data
    leaked = np.concatenate([data.features, data.target[..., None]], axis=2)
    known = dataclasses.replace(data, features=leaked, feature_names=(*data.feature_names, "tomorrow"))
    cheat = dataclasses.replace(candidate, forecast=dataclasses.replace(candidate.forecast, score=data.target))
    found = evaluate(cheat, dataclasses.replace(past, data=known))
    assert found.suspicion.open
    assert next(iter(found.leaks)) == "tomorrow"
    assert found.to_dict()["suspect"] == list(found.suspicion.reasons)
    assert found.traded.sharpe > 3


def test_shuffled_scores_earn_nothing(past: Past) -> None:
    """Random scores have no rank IC and lose their costs."""
    rng = np.random.default_rng(5)
    scores = np.where(np.isfinite(past.data.target), rng.normal(size=past.data.target.shape), np.nan)
    traded = trade_scores(past.panel, scores, past.settings, n_resamples=200)
    low, high = traded.sharpe_interval
    assert low < 0.5
    assert traded.costs.total > 0
    assert high < 2


def test_trading_tomorrow_beats_everything(past: Past) -> None:
    """The return that a fill at t + 1 earns, known at t, is absurdly profitable: entry delay and sign are right."""
    known = forward_returns(past.panel.close, 1)
    assert trade_scores(past.panel, known, past.settings, n_resamples=50).sharpe > 3
    assert trade_scores(past.panel, -known, past.settings, n_resamples=50).sharpe < -3


def test_nothing_to_trade_is_refused(past: Past) -> None:
    """Other shapes and no scores at all are named."""
    with pytest.raises(DataError, match="the panel needs"):
        trade_scores(past.panel, np.ones((3, 2)), past.settings)
    with pytest.raises(DataError, match="no number"):
        trade_scores(past.panel, np.full(past.panel.close.shape, np.nan), past.settings)


def test_a_candidate_is_registered_whole(
    candidate: Candidate, evaluation: Evaluation, past: Past, store: Store, folder: Path
) -> None:
    """Model, report, page, background and lineage come back, and the next one counts the trials before it."""
    registry = Registry.of(store, past.settings.registry)
    assert previous_trials(registry, "linear", past.data.fingerprint) == 0
    version = register_candidate(registry, candidate, evaluation, past, who="ada", why="a test", trials=4, search="s1")
    assert (version.ref, version.state) == ("linear@1.0.0", State.STAGING)
    assert version.metrics["ic"] == evaluation.score.ic.mean
    assert version.metrics["auc_low"] < version.metrics["auc"] < version.metrics["auc_high"]
    lineage = registry.lineage(version)
    assert (lineage.search, lineage.trials, lineage.span_ns) == ("s1", 4, past.span_ns)
    assert previous_trials(registry, "linear", past.data.fingerprint) == 4
    loaded = registry.load("linear")
    panel = past.data.features[-5:]
    assert np.array_equal(loaded.predict_panel(panel), candidate.model.predict_panel(panel), equal_nan=True)
    fetched = registry.fetch(version)
    page = (fetched / REPORT_FILE).read_text(encoding="utf-8")
    assert "linear@1.0.0" in page
    assert "Reliability" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("https://matplotlib.org", "").replace(
        "http://purl.org", ""
    ).replace("http://creativecommons.org", "")
    assert Background.load(fetched / BACKGROUND_FILE).rows.shape == (100, len(past.data.feature_names))
    assert json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))["traded"]["n_trials"] == 3


def test_registered_versions_join_runs_that_they_have_not_seen(
    candidate: Candidate, evaluation: Evaluation, past: Past, store: Store
) -> None:
    """An alias becomes the version it meant; a version that has seen what would be traded is refused."""
    registry = Registry.of(store, past.settings.registry)
    version = register_candidate(registry, candidate, evaluation, past, who="ada", why="a test")
    registry.promote(version, who="ada", why="a test")
    models = past.settings.models.model_copy(update={"members": ("momentum", "linear@champion")})
    settings = past.settings.model_copy(update={"models": models})
    names, end_ns = past.data.feature_names, past.span_ns[1]
    found = registered_members(settings, store, feature_names=names, start_ns=end_ns + 1)
    assert found.settings.models.members == ("momentum", version.ref)
    assert list(found.models) == [version.ref]
    with pytest.raises(ModelError, match="has seen data up to"):
        registered_members(settings, store, feature_names=names, start_ns=end_ns)
    with pytest.raises(ModelError, match="another order"):
        registered_members(settings, store, feature_names=names[::-1], start_ns=end_ns + 1)
    with pytest.raises(ModelError, match=r"does not know \['new'\]"):
        registered_members(settings, store, feature_names=(*names, "new"), start_ns=end_ns + 1)


def test_the_league_ranks_and_counts_its_trials(past: Past) -> None:
    """Best rank IC first, all models together among them, every one a trial."""
    found = run_league(past, ["momentum", "linear"], "ci")
    assert {row.name for row in found.rows} == {"momentum", "linear", ENSEMBLE}
    assert [row.ic[0] for row in found.rows] == sorted((row.ic[0] for row in found.rows), reverse=True)
    assert all(row.sharpe[1] <= row.sharpe[0] <= row.sharpe[2] for row in found.rows)
    assert 0 <= found.overfitting <= 1
    assert json.dumps(found.to_dict(), allow_nan=False)
    with pytest.raises(DataError, match="none twice"):
        run_league(past, ["linear", "linear"], "ci")


def test_folds_can_begin_on_a_day(past: Past) -> None:
    """`validate_from` is the first day tested; one outside the data is named."""
    day = str(np.datetime64(int(past.data.ts_ns[600]), "ns").astype("datetime64[D]"))
    models = past.settings.models.model_copy(update={"validate_from": day})
    folds = train_candidate(past.data, "momentum", settings=models, seed=1).folds
    first_day = np.datetime64(int(past.data.ts_ns[folds[0].test[0]]), "ns")
    assert first_day - np.datetime64(day) <= np.timedelta64(5, "D")
    for wrong, message in (("2100-01-01", "not inside"), ("soon", "is not a day")):
        with pytest.raises(SettingsError, match=message):
            train_candidate(past.data, "momentum", settings=models.model_copy(update={"validate_from": wrong}), seed=1)


def test_panels_join(past: Past) -> None:
    """Panels put together again are the panel."""
    again = BarPanel.concat([past.panel.rows(0, 10), past.panel.rows(10, len(past.panel))])
    assert np.array_equal(again.close, past.panel.close, equal_nan=True)
    assert np.array_equal(again.ts_ns, past.panel.ts_ns)


def test_paths_cover_the_history(past: Past) -> None:
    """Four groups, two tested: six fits, three paths; a signal-free model has paths on both sides of nothing."""
    found = run_paths(past, "linear", {}, n_groups=4, n_test=2)
    assert (found.n_splits, len(found.paths)) == (6, 3)
    low, middle, high = found.spread("ic")
    assert low <= middle <= high
    assert all(np.isfinite(path.sharpe) for path in found.paths)
    assert len({path.ic for path in found.paths}) == 3
