"""The real application on the session's cluster: three kinds of model, one replica."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ray import serve as ray_serve

from serve.lifecycle import RunningApp, start_app
from serve.plan import Serving
from serve.service import EnsembleService
from trader.models.artifacts import save_ensemble
from trader.models.background import draw_background
from trader.models.base import create
from trader.models.ensemble import Ensemble
from trader.settings.sections import ServeSettings

if TYPE_CHECKING:
    from tests.ray.conftest import RayCluster

TOKEN = "a-token-of-the-tests"  # noqa: S105
FEATURE_NAMES = ("momentum_252_21", "return_5d", *(f"factor_{i}" for i in range(28)))


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Momentum, linear and boosting on thirty features, saved."""
    rng = np.random.default_rng(11)
    features = rng.normal(size=(600, len(FEATURE_NAMES)))
    features[rng.random(features.shape) < 0.05] = np.nan
    target = np.nan_to_num(features)[:, :4].sum(axis=1) + rng.normal(size=600)
    members = {
        f"{name}@1": create(name).fit(features, target, feature_names=FEATURE_NAMES, seed=1)
        for name in ("momentum", "linear", "boosting")
    }
    folder = tmp_path_factory.mktemp("ensemble") / "models"
    save_ensemble(Ensemble(members, background=draw_background(features, 1, source="of a test")), folder)
    return folder


@pytest.fixture(scope="package")
def app(ray_cluster: RayCluster, model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The application with a challenger, a store and traces, up and ready; stopping it twice does no harm."""
    tracing = f"file:{tmp_path_factory.mktemp('traces')}/spans.jsonl"
    store_url = f"sqlite:///{tmp_path_factory.mktemp('store')}/trader.db"
    challenger_dir = shutil.copytree(model_dir, model_dir.parent / "challenger")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADER_API_TOKEN", TOKEN)
        patch.setattr("serve.lifecycle._READY_TIMEOUT_S", 300.0)
        running = start_app(
            ServeSettings(port=0, max_rows=64, tracing=tracing),
            Serving(model_dir=model_dir, challenger_dir=challenger_dir),
            store_url=store_url,
        )
    yield running
    running.stop()
    running.stop()
    assert running.name not in ray_serve.status().applications


@pytest.fixture(scope="package")
def service(model_dir: Path) -> EnsembleService:
    """The same models in this process: the oracle."""
    return EnsembleService(model_dir)


@pytest.fixture
def features() -> np.ndarray:
    """Three instants of twenty symbols, some numbers missing, shape (3, 20, 30)."""
    rng = np.random.default_rng(17)
    values = rng.normal(size=(3, 20, len(FEATURE_NAMES)))
    values[rng.random(values.shape) < 0.1] = np.nan
    return values
