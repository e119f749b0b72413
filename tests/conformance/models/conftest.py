"""One market that every registered model is fitted on, at its `ci` preset."""

from __future__ import annotations

import pytest
from threadpoolctl import threadpool_limits

from tests.support.models import Market, fit_preset
from trader.core.protocols import Model
from trader.models.base import MODELS


@pytest.fixture(scope="session")
def market() -> Market:
    return Market.simulate(0, 400)


@pytest.fixture(scope="session")
def short_market() -> Market:
    """For fits that are compared with one another, whatever they learn."""
    return Market.simulate(0, 200)


@pytest.fixture(scope="session")
def unseen() -> Market:
    return Market.simulate(1, 90)


@pytest.fixture(scope="session")
def fitted_models(market: Market) -> dict[str, Model]:
    return {name: fit_preset(name, market) for name in sorted(MODELS)}


@pytest.fixture(scope="session")
def refitted_models(market: Market) -> dict[str, Model]:
    """Fits of the same data again, on another number of threads."""
    with threadpool_limits(2):
        return {name: fit_preset(name, market) for name in sorted(MODELS)}


@pytest.fixture(params=sorted(MODELS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def fitted(fitted_models: dict[str, Model], name: str) -> Model:
    return fitted_models[name]


@pytest.fixture
def refitted(refitted_models: dict[str, Model], name: str) -> Model:
    return refitted_models[name]
