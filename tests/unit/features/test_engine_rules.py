"""What the engine promises: names, what is left out, rows without a bar, errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from trader.core.errors import DataError, SettingsError
from trader.core.market import BAR_FIELDS, BarBatch, BarPanel
from trader.data.simulated import SimulatedMarket
from trader.features import CrossSection, FeatureEngine
from trader.settings import FeatureSettings, SimulationSettings

EVERYTHING = frozenset(BAR_FIELDS)


@pytest.fixture(scope="module")
def panel() -> BarPanel:
    return SimulatedMarket(SimulationSettings(n_symbols=4, n_days=300), seed=1).panel()


def test_all_fields_give_at_least_thirty_features():
    """Nothing is left out, and there are more than thirty without the cross-section."""
    engine = FeatureEngine(1, EVERYTHING, FeatureSettings())
    assert len(engine.names) >= 30
    assert not engine.left_out


def test_closes_alone_give_at_least_twenty():
    """With closes only, every missing feature is named together with the fields that it needs."""
    engine = FeatureEngine(1, frozenset({"close"}), FeatureSettings())
    everything = FeatureEngine(1, EVERYTHING, FeatureSettings()).names
    assert len(engine.names) >= 20
    assert set(engine.names) | set(engine.left_out) == set(everything)
    assert engine.left_out["amihud_21d"] == "needs volume"
    assert engine.left_out["parkinson_21d"] == "needs high, low"
    assert engine.left_out["flow_imbalance"] == "needs volume, buy_volume"


def test_families_can_be_chosen():
    """Only the named families are computed, in the order of the registry, and only theirs is left out."""
    engine = FeatureEngine(1, frozenset({"close"}), FeatureSettings(families=("spread", "rsi", "returns")))
    assert engine.names[0] == "return_1d"
    assert engine.names[-1] == "rsi_14d"
    assert set(engine.left_out) == {"relative_spread", "relative_spread_21d"}


def test_unknown_names_are_refused():
    """An unknown family or field is named, with those that exist."""
    with pytest.raises(SettingsError, match=r"\['rsl'\]; allowed are returns, momentum"):
        FeatureEngine(1, EVERYTHING, FeatureSettings(families=("rsl",)))
    with pytest.raises(SettingsError, match=r"\['closes'\]; allowed are open"):
        FeatureEngine(1, frozenset({"closes"}), FeatureSettings())


def test_windows_beyond_memory_are_refused():
    """One-second bars of many symbols would take more memory than there is: said before it is taken."""
    with pytest.raises(SettingsError, match=r"features\.bars_per_day=23400 .* 64 symbols .* GiB; 4 are allowed"):
        FeatureEngine(64, frozenset(BAR_FIELDS), FeatureSettings(bars_per_day=23_400))


def test_everything_is_finite_after_the_warm_up(panel):
    """From bar `warmup` on, no feature of simulated data is missing; the bar before, one is."""
    engine = FeatureEngine(4, EVERYTHING, FeatureSettings())
    features = engine.update(panel)
    assert np.isfinite(features[engine.warmup - 1 :]).all()
    assert np.isnan(features[engine.warmup - 2]).any(axis=1).all()


def test_a_symbol_without_a_bar_repeats_its_last_row(panel):
    """Its row stays that of its last bar, over the end of a block too; before its first bar it is NaN."""
    close = panel.close.copy()
    close[:3, 0] = np.nan
    close[200:230, 1] = np.nan
    holes = dataclasses.replace(panel, close=close)
    engine = FeatureEngine(4, EVERYTHING, FeatureSettings())
    features = np.concatenate([engine.update(block) for block in holes.blocks(7)])
    assert np.isnan(features[:3, 0]).all()
    np.testing.assert_array_equal(features[200:230, 1], np.repeat(features[199:200, 1], 30, axis=0))
    assert (features[230, 1] != features[199, 1]).any()
    whole = FeatureEngine(4, EVERYTHING, FeatureSettings()).update(panel)
    np.testing.assert_array_equal(features[:, 2:], whole[:, 2:])


def test_a_missing_field_concerns_its_families_only(panel):
    """A bar without volume leaves volume features NaN at that bar, and all others as they were."""
    volume = panel.volume.copy()
    volume[250, 2] = np.nan
    engine = FeatureEngine(4, EVERYTHING, FeatureSettings())
    whole = FeatureEngine(4, EVERYTHING, FeatureSettings()).update(panel)
    features = engine.update(dataclasses.replace(panel, volume=volume))
    concerned = {name for family in engine.families if "volume" in family.needs() for name in family.names}
    for at, name in enumerate(engine.names):
        if name in concerned:
            assert np.isnan(features[250, 2, at]), name
        else:
            np.testing.assert_array_equal(features[:, :, at], whole[:, :, at], err_msg=name)


def test_undeclared_fields_are_not_read(panel):
    """A panel that carries more than was declared gives the same as one that does not."""
    closes = dataclasses.replace(
        panel, **{name: np.full_like(panel.close, np.nan) for name in BAR_FIELDS if name != "close"}
    )
    engines = [FeatureEngine(4, frozenset({"close"}), FeatureSettings()) for _ in range(2)]
    np.testing.assert_array_equal(engines[0].update(panel), engines[1].update(closes))


def test_an_empty_panel_gives_no_rows():
    """No instants in, no rows out."""
    features = FeatureEngine(4, EVERYTHING, FeatureSettings()).update(BarPanel.from_bars(BarBatch.empty(), 4))
    assert features.shape[:2] == (0, 4)


def test_a_read_only_panel_of_any_layout(panel):
    """Read-only and transposed arrays give the same features, by the same compiled loop."""
    strange = dataclasses.replace(
        panel, **{name: np.asfortranarray(getattr(panel, name)) for name in BAR_FIELDS}, ts_ns=panel.ts_ns.copy()
    )
    strange.ts_ns.flags.writeable = False
    engine = FeatureEngine(4, EVERYTHING, FeatureSettings())
    whole = engine.update(panel)
    engine = FeatureEngine(4, EVERYTHING, FeatureSettings())
    np.testing.assert_array_equal(engine.update(strange), whole)
    assert len(engine._run.signatures) == 1


def test_wrong_shapes_are_refused(panel):
    """A panel, a state or features of another shape are named with the shape that is needed."""
    engine = FeatureEngine(3, EVERYTHING, FeatureSettings())
    with pytest.raises(DataError, match="4 symbols; the engine has 3"):
        engine.update(panel)
    with pytest.raises(DataError, match="this engine needs"):
        engine.restore(FeatureEngine(4, EVERYTHING, FeatureSettings()).state())
    with pytest.raises(DataError, match="is needed"):
        CrossSection(engine.names, 3).apply(np.zeros((1, 4, len(engine.names))))
