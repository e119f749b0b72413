"""One symbol's bars in, its features by name out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trader.core.market import BAR_FIELDS, BarPanel
from trader.features import FeatureEngine
from trader.settings import FeatureSettings

DAY_NS = 86_400_000_000_000
MONDAY_NS = 16_440 * DAY_NS  # 2015-01-05


@pytest.fixture
def features_of() -> Callable[..., dict[str, np.ndarray]]:
    """Compute `family` on given columns, one bar a day (or stamped `ts_ns`); return features by name, (n_bars,)."""

    def compute(family: str, *, bars_per_day: float = 1.0, **columns: Any) -> dict[str, np.ndarray]:
        n = len(columns["close"])
        ts_ns = columns.pop("ts_ns", MONDAY_NS + np.arange(1, n + 1) * DAY_NS)
        present = {name: np.asarray(column, float)[:, None] for name, column in columns.items()}
        nothing = {name: np.full((n, 1), np.nan) for name in BAR_FIELDS if name not in present}
        panel = BarPanel(ts_ns=ts_ns, ts_open_ns=ts_ns[:, None], **present, **nothing)
        settings = FeatureSettings(families=(family,), bars_per_day=bars_per_day)
        engine = FeatureEngine(1, frozenset(present), settings)
        return dict(zip(engine.names, engine.update(panel)[:, 0].T, strict=True))

    return compute


@pytest.fixture
def closes() -> np.ndarray:
    """A year and a half of fat-tailed daily closes."""
    return 50 * np.exp(np.cumsum(0.01 * np.random.default_rng(3).standard_t(4, 380)))
