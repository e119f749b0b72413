"""`trader models explain` on a simulated market, from folders and from the registry."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trader.models.artifacts import load_ensemble, save_ensemble

MARKET = ("--feed", "simulated", "--set", "feed.simulation.n_symbols=6", "--set", "feed.simulation.n_days=500")
SYMBOLS = ("SIM00", "SIM03")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ensemble of linear model and trees, trained on that market, saved with its background."""
    from trader.engine.training_set import load_past
    from trader.models.training import train_ensemble
    from trader.settings import load_settings

    simulation = {"n_symbols": 6, "n_days": 500}
    models = {"members": ("linear", "boosting"), "n_splits": 2, "preset": "ci"}
    settings = load_settings(None, None, {"feed": {"kind": "simulated", "simulation": simulation}, "models": models})
    data = load_past(settings).data
    trained = train_ensemble(data, settings=settings.models, seed=7)
    folder = tmp_path_factory.mktemp("run") / "models"
    save_ensemble(trained.ensemble, folder, {"training": trained.report.to_dict()})
    return folder


def test_one_instant_is_explained(trader: Callable[..., Any], models: Path) -> None:
    """Scores, bases and values of the symbols named, at the day named; they add up, and the background is said."""
    done = trader("models", "explain", str(models), *MARKET, "--symbol", ",".join(SYMBOLS), "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert answer["symbols"] == list(SYMBOLS)
    total = np.array(answer["base"]) + np.sum(answer["values"], axis=1)
    assert total == pytest.approx(np.array(answer["score"]), abs=1e-12)
    background = load_ensemble(models).background
    assert background is not None
    assert answer["background_sha256"] == background.sha256
    assert answer["background"] == background.statement


def test_a_day_and_a_member_are_chosen(trader: Callable[..., Any], models: Path) -> None:
    """`--at` takes the last instant of that day; `--member` explains its part; a table lists what weighs most."""
    early = trader("models", "explain", str(models), *MARKET, "--symbol", "SIM00", "--json", "--at", "2016-06-30")
    late = trader("models", "explain", str(models), *MARKET, "--symbol", "SIM00", "--json")
    stamps = [np.datetime64(json.loads(one.out)["ts_ns"], "ns") for one in (early, late)]
    assert stamps[0].astype("datetime64[D]") == np.datetime64("2016-06-30") < stamps[1]
    shown = trader("models", "explain", str(models), *MARKET, "--symbol", "SIM00", "--member", "linear", "--top", "3")
    assert "linear@1.0.0: SHAP at" in shown.out
    assert shown.out.count("│") == 3 * 4
    assert "Background: 100 rows drawn by seed 7" in shown.out


@pytest.mark.parametrize(("suffix", "begins"), [("html", b"\n<!doctype html>"), ("png", b"\x89PNG")])
def test_pages_and_pictures_are_written(
    trader: Callable[..., Any], models: Path, tmp_path: Path, suffix: str, begins: bytes
) -> None:
    """`--out` writes what its ending says."""
    target = tmp_path / f"why.{suffix}"
    done = trader("models", "explain", str(models), *MARKET, "--symbol", "SIM01", "--out", str(target))
    assert done.code == 0, done.err
    assert target.read_bytes().lstrip()[:4] == begins.lstrip()[:4]
    assert str(target) in done.out.replace("\n", "")


def test_the_whole_is_explained(trader: Callable[..., Any], models: Path, tmp_path: Path) -> None:
    """`--global` gives importances, effects and a tree with its fidelity, on a page of its own."""
    target = tmp_path / "whole.html"
    done = trader("models", "explain", str(models), *MARKET, "--global", "--json", "--out", str(target))
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    names = answer["attribution"]["feature_names"]
    assert len(answer["attribution"]["values"]) == len(answer["ic"]["values"]) == len(names)
    assert len(answer["effects"]) == 4
    assert answer["surrogate"]["n_test"] > 100
    assert answer["surrogate"]["r2"] <= 1.0
    assert answer["sample"]["largest_additivity_error"] < 1e-12
    page = target.read_text(encoding="utf-8")
    assert page.count("<svg") == 6
    assert "A tree that imitates it" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_surrogate_is_shown_as_text(trader: Callable[..., Any], models: Path) -> None:
    """`--method surrogate` explains the whole, with a tree of the depth asked for."""
    done = trader("models", "explain", str(models), *MARKET, "--method", "surrogate", "--depth", "1")
    assert done.code == 0, done.err
    assert "A tree of depth 1 imitates the scores" in done.out
    assert " <= " in done.out


def test_a_single_model_draws_its_background_from_the_data(trader: Callable[..., Any], models: Path) -> None:
    """A member's own folder has no background; the answer says where it was taken from instead."""
    folder = str(models / "linear@1.0.0")
    done = trader("models", "explain", folder, *MARKET, "--symbol", "SIM01", "--method", "lime", "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert "of the data explained" in answer["background"]
    assert answer["fidelity"][0] > 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--symbol", "SIM0"), "did you mean"),
        (("--member", "forest"), "allowed are linear@1.0.0, boosting@1.0.0, ensemble"),
        (("--method", "ig"), "gradients"),
        (("--method", "attention"), "needs a transformer"),
        (("--at", "1980-01-01"), "no bar"),
        (("--out", "why.pdf"), "must end in .html or .png"),
        (("--set", "features.families=[momentum]"), "the data lack"),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(
    trader: Callable[..., Any], models: Path, arguments: tuple[str, ...], message: str
) -> None:
    """What cannot be explained is named, with what can."""
    done = trader("models", "explain", str(models), *MARKET, *arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_registered_versions_bring_their_background(trader: Callable[..., Any], models: Path) -> None:
    """A version that was trained and registered is explained by its reference, against the rows it was kept with."""
    small = ("--set", "feed.symbols=[]", "--set", "models.n_splits=2")
    trained = trader("models", "train", "linear", "--preset", "ci", *MARKET, *small)
    assert trained.code == 0, trained.err
    done = trader("models", "explain", "linear@1.0.0", *MARKET, "--symbol", "SIM01", "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert answer["subject"] == "linear@1.0.0"
    assert "of training" in answer["background"]


def test_a_transformer_shows_gradients_and_attention(trader: Callable[..., Any], tmp_path: Path) -> None:
    """`ig` adds up within its tolerance and draws the window; `attention` sums to 1 over what is looked at."""
    small = ("--set", "feed.symbols=[]", "--set", "models.n_splits=2", "--param", "epochs=1")
    trained = trader("models", "train", "transformer", "--preset", "ci", *MARKET, *small)
    assert trained.code == 0, trained.err
    target = tmp_path / "why.html"
    ig = trader(
        "models",
        "explain",
        "transformer",
        *MARKET,
        "--symbol",
        "SIM01",
        "--method",
        "ig",
        "--json",
        "--out",
        str(target),
    )
    assert ig.code == 0, ig.err
    answer = json.loads(ig.out)
    total = answer["base"][0] + sum(answer["values"][0])
    assert total == pytest.approx(answer["score"][0], abs=5e-3 * (abs(total) + np.abs(answer["values"][0]).sum()))
    assert target.read_text(encoding="utf-8").count("<svg") == 3
    looked = trader(
        "models", "explain", "transformer", *MARKET, "--method", "attention", "--json", "--out", str(target)
    )
    assert looked.code == 0, looked.err
    maps = json.loads(looked.out)
    assert np.array(maps["assets"]).shape == (1, 6, 6)
    assert np.array(maps["assets"]).sum(axis=-1) == pytest.approx(1.0, abs=1e-5)
    assert np.array(maps["time"]).sum(axis=-1) == pytest.approx(1.0, abs=1e-5)
    assert target.read_text(encoding="utf-8").count("<svg") == 2
    assert trader("models", "explain", "transformer", *MARKET, "--method", "attention", "--global").code == 2
