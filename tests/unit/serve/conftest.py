"""A small saved ensemble, its service, and the HTTP interface over it in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from serve.backend import InProcessBackend
from serve.ingress import Limits, create_api
from serve.service import EnsembleService
from trader.models.artifacts import save_ensemble
from trader.models.base import create
from trader.models.ensemble import Ensemble

FEATURE_NAMES = ("momentum_20", "return_5", "volatility_20")


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two linear models that differ in their penalty, weighing 3 to 1."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(200, len(FEATURE_NAMES)))
    target = features @ np.array([0.3, -0.2, 0.1]) + 0.1 * rng.normal(size=200)
    members = {
        f"linear@{alpha}": create("linear", alpha=alpha).fit(features, target, feature_names=FEATURE_NAMES)
        for alpha in (0.1, 10.0)
    }
    folder = tmp_path_factory.mktemp("ensemble") / "models"
    save_ensemble(Ensemble(members, (3.0, 1.0)), folder, {"training": {"rows": 200}})
    return folder


@pytest.fixture
def service(model_dir: Path) -> EnsembleService:
    """A fresh service, its counters at zero."""
    return EnsembleService(model_dir)


@pytest.fixture
async def client(service: EnsembleService) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks to the interface without a socket; at most eight rows and 4 kB are allowed."""
    api = create_api(InProcessBackend(service), Limits(max_rows=8, max_body_bytes=4096))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:
        yield client


@pytest.fixture
def features() -> np.ndarray:
    """Five rows with one missing number, shape (5, 3)."""
    values = np.random.default_rng(5).normal(size=(5, len(FEATURE_NAMES)))
    values[2, 1] = np.nan
    return values


@pytest.fixture
def body(features: np.ndarray) -> dict[str, object]:
    """A good request for those features."""
    rows = [[None if np.isnan(value) else value for value in row] for row in features.tolist()]
    return {"feature_names": list(FEATURE_NAMES), "symbols": [f"S{i}" for i in range(5)], "features": rows}
