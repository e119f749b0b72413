"""The registry's tests run on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trader.core.clock import ManualClock
from trader.models.base import create
from trader.registry import Lineage, ModelVersion, Registry
from trader.storage import Store

SAY = {"who": "ada", "why": "a test"}


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with Store.open(store_url) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    """Stands still until a test moves it."""
    return ManualClock(1_700_000_000_000_000_000)


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """Root of the artefacts; not there yet."""
    return tmp_path / "artifacts"


@pytest.fixture
def registry(store: Store, artifacts: Path, tmp_path: Path, clock: ManualClock) -> Registry:
    return Registry(store, str(artifacts), cache=tmp_path / "cache", rollback_window=2, clock=clock)


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a fitted linear model saved."""
    rows = np.random.default_rng(0).normal(size=(100, 3))
    folder = tmp_path_factory.mktemp("saved")
    create("linear").fit(rows, rows[:, 0], feature_names=("a", "b", "c")).save(folder)
    return folder


@pytest.fixture(scope="session")
def lineage() -> Callable[..., Lineage]:
    """Make a lineage that differs in some fields."""

    def make(**different: Any) -> Lineage:
        plain = {"data_fingerprint": "f" * 64, "settings": {"models": {"horizon": 5}}, "seed": 7}
        return Lineage(**plain | different)

    return make


@pytest.fixture
def add(registry: Registry, saved: Path, lineage: Callable[..., Lineage]) -> Callable[..., ModelVersion]:
    """Register the next version of `linear`."""

    def make(name: str = "linear", **options: Any) -> ModelVersion:
        defaults = {"lineage": lineage(), "report": {}, "metrics": {"ic": 0.02}, "kind": "linear", **SAY}
        return registry.register(name, saved, **defaults | options)

    return make
