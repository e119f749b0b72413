"""The HTTP interface with all of its routes, over a real store and registry, in this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from fastapi import FastAPI

from serve.auth import Guard, credentials_from_environment
from serve.backend import InProcessBackend
from serve.experiments_route import ExperimentDesk
from serve.ingress import Limits, create_api
from serve.plan import Plan
from serve.risk_route import RiskDesk
from serve.routing import Router
from serve.service import EnsembleService
from serve.serving_route import ServingDesk
from trader.models.artifacts import save_ensemble
from trader.models.background import draw_background
from trader.models.base import create
from trader.models.ensemble import Ensemble
from trader.registry import Lineage, Registry
from trader.settings import RegistrySettings
from trader.storage import Store

FEATURE_NAMES = ("return_5", "volatility_20")
TOKENS = {
    "TRADER_API_TOKEN_ADA": "ada-has-a-long-token",
    "TRADER_API_TOKEN_BOB": "bob-has-another-token",
    "TRADER_API_TOKEN": "the-token-of-the-admin",
}
"""Of a trader, a viewer and an admin."""


def bearer(user: str) -> dict[str, str]:
    """Return the header that says who asks: ada, bob or admin."""
    variable = "TRADER_API_TOKEN" if user == "admin" else f"TRADER_API_TOKEN_{user.upper()}"
    return {"Authorization": f"Bearer {TOKENS[variable]}"}


def whole_api(folder: Path) -> tuple[FastAPI, str]:
    """Return the interface over an ensemble of one linear model, of which two versions are registered; and its store.

    The ensemble knows the features `FEATURE_NAMES`.
    """
    rows = np.random.default_rng(0).normal(size=(100, len(FEATURE_NAMES)))
    model = create("linear").fit(rows, rows[:, 0], feature_names=FEATURE_NAMES)
    background = draw_background(rows, 1, source="of a test")
    save_ensemble(Ensemble({"linear@1.0.0": model}, background=background), folder / "models")
    saved = folder / "saved"
    saved.mkdir()
    model.save(saved)
    store_url = f"sqlite:///{folder}/trader.db"
    settings = RegistrySettings(artifacts=str(folder / "artifacts"))
    with Store.open(store_url) as store:
        registry = Registry.of(store, settings)
        lineage = Lineage(data_fingerprint="f" * 64, settings={}, seed=7)
        for why in ("first", "second"):
            registry.register("linear", saved, lineage=lineage, report={}, metrics={}, kind="linear", who="x", why=why)
    router = Router(InProcessBackend(EnsembleService(folder / "models")))
    plan = Plan(champion="in-process").model_dump()
    api = create_api(
        router,
        Limits(max_rows=64, max_body_bytes=2**20),
        experiments=ExperimentDesk(store_url, settings),
        serving=(ServingDesk("standing", store_url, settings), lambda: {"plan": plan, **router.standing()}),
        risk=RiskDesk(store_url),
        guard=Guard(credentials_from_environment({"ada": "trader", "bob": "viewer"}, TOKENS)),
    )
    return api, store_url
