"""What holds for every feature family that exists."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from trader.core.market import BAR_FIELDS, BarPanel
from trader.data.simulated import SimulatedMarket
from trader.features import FAMILIES, CrossSection, FeatureEngine, batch
from trader.features.family import COLUMNS, Family
from trader.settings import FeatureSettings, SimulationSettings

EVERYTHING = frozenset(BAR_FIELDS)
PAGE = Path(__file__).parents[3] / "docs" / "concepts" / "features.md"


@pytest.fixture(scope="module")
def panel() -> BarPanel:
    return SimulatedMarket(SimulationSettings(n_symbols=3, n_days=280), seed=4).panel()


@pytest.fixture(params=FAMILIES, ids=lambda family: family.name)
def family(request) -> type[Family]:
    return request.param


def settings_of(family: type[Family], bars_per_day: float = 1.0) -> FeatureSettings:
    return FeatureSettings(families=(family.name,), bars_per_day=bars_per_day)


def only(panel: BarPanel, fields: frozenset[str]) -> BarPanel:
    nothing = np.full_like(panel.close, np.nan)
    return dataclasses.replace(panel, **{name: nothing for name in BAR_FIELDS if name not in fields | {"close"}})


def test_declared_fields_suffice(family, panel):
    """With the declared fields alone the features are the same as with all."""
    fields = family.needs()
    engine = FeatureEngine(3, fields, settings_of(family))
    everything = FeatureEngine(3, EVERYTHING, settings_of(family))
    assert engine.names == everything.names
    np.testing.assert_array_equal(engine.update(only(panel, fields)), everything.update(panel))


def test_each_declared_field_is_needed(family):
    """Without any one of the declared fields every feature is left out, and the reason names the field."""
    for name in family.needs():
        engine = FeatureEngine(3, EVERYTHING - {name}, settings_of(family))
        assert engine.names == ()
        assert engine.left_out
        assert all(reason.startswith("needs ") and name in reason for reason in engine.left_out.values())


def test_finite_after_its_warm_up(family, panel):
    """All its features are finite from the bar that `warmup` names on, and not all before."""
    engine = FeatureEngine(3, EVERYTHING, settings_of(family))
    features = engine.update(panel)
    assert np.isfinite(features[engine.warmup - 1 :]).all()
    assert np.isnan(features[: engine.warmup - 1]).any(axis=2).all()


def test_missing_inputs_give_nan_and_pass(family, panel):
    """A bar without an input has no features, and the bars after it have them again."""
    for name in family.needs() - {"close"}:
        column = getattr(panel, name).copy()
        column[270] = np.nan
        features = FeatureEngine(3, EVERYTHING, settings_of(family)).update(
            dataclasses.replace(panel, **{name: column})
        )
        assert np.isnan(features[270]).all(), name
        assert np.isfinite(features[271]).all(), name


def test_prices_in_another_currency_change_nothing(family, panel):
    """Features are free of the unit of price, but for the 1 in ln(1 + value), and Amihud's, inverse to it."""
    if not family.needs() & {"open", "high", "low", "close", "vwap", "spread"}:
        pytest.skip("reads no price")
    scaled = {name: 8.0 * getattr(panel, name) for name in ("open", "high", "low", "close", "vwap", "spread")}
    base = FeatureEngine(3, EVERYTHING, settings_of(family)).update(panel)
    got = FeatureEngine(3, EVERYTHING, settings_of(family)).update(dataclasses.replace(panel, **scaled))
    factor = 8.0 if family.name == "amihud" else 1.0
    np.testing.assert_allclose(got * factor, base, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("bars_per_day", [0.04, 0.2, 3.0])
def test_windows_scale_with_the_bars_of_a_day(family, panel, bars_per_day):
    """Bars of any length are accepted; both forms still agree."""
    settings = settings_of(family, bars_per_day)
    engine = FeatureEngine(3, EVERYTHING, settings)
    np.testing.assert_allclose(engine.update(panel), batch(panel, EVERYTHING, settings), rtol=1e-9, atol=1e-12)


def test_inputs_are_columns(family):
    """Families name inputs that exist, and have a name and a docstring of their own."""
    assert set(family.inputs) <= set(COLUMNS)
    assert family.name
    assert family.__doc__ != Family.__doc__


def test_names_are_unique_and_documented():
    """No two features share a name, and the concept page explains each of them."""
    names = FeatureEngine(1, EVERYTHING, FeatureSettings(bars_per_day=2.0)).names
    names += CrossSection(names, 1).names
    assert len(set(names)) == len(names)
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}`" not in page] == []
