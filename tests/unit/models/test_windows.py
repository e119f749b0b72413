"""Windows of an encoded panel: what they hold, and that encoding keeps what a network must not mix up."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from trader.models.encoding import CLIP, PanelEncoder, market_columns
from trader.models.windows import PAST, Windows, WindowSource, joined

NAMES = ("return_1d", "volatility_21d", "day_of_week", "constant")
CONTEXT, PATCH, N_SYMBOLS = 4, 2, 3


@pytest.fixture
def features() -> np.ndarray:
    rng = np.random.default_rng(0)
    panel = rng.normal(size=(30, N_SYMBOLS, 4))
    panel[..., 2] = (np.arange(30) % 5)[:, None]
    panel[..., 3] = 7.0
    panel[10, 1, 0] = np.nan
    panel[12:15, 2] = np.nan
    panel[21, 0] = panel[20, 0]
    return panel


@pytest.fixture
def encoder(features: np.ndarray) -> PanelEncoder:
    return PanelEncoder.fit(features.reshape(-1, 4), NAMES)


def test_values_are_clipped_z_scores_and_flags(features: np.ndarray, encoder: PanelEncoder) -> None:
    """Moments are those of the known training rows; constants and the calendar are no z-scores."""
    rows = features.reshape(-1, 4)
    mean, deviation = np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)
    absurd = features.copy()
    absurd[0, 0, 0], absurd[0, 0, 1] = 1e9, -np.inf
    values = encoder(absurd).values
    assert encoder.columns.tolist() == [0, 1]
    assert encoder.flagged.tolist() == [0, 1]
    z = (features[..., :2] - mean[:2]) / deviation[:2]
    expected = np.where(np.isnan(z), 0.0, np.clip(z, -CLIP, CLIP)).transpose(1, 0, 2)
    np.testing.assert_allclose(values[:, 1:, :2], expected[:, 1:], atol=1e-5)
    assert values[0, 0].tolist() == [CLIP, 0.0, 0.0, 1.0]
    assert values[1, 10, 2:].tolist() == [1.0, 0.0]


def test_a_feature_that_training_always_knew_has_no_flag(features: np.ndarray) -> None:
    """Nothing would have taught its weight."""
    encoder = PanelEncoder.fit(np.nan_to_num(features.reshape(-1, 4)), NAMES)
    assert encoder.flagged.size == 0
    assert encoder(features).values.shape == (N_SYMBOLS, 30, encoder.n_values)


def test_what_was_learnt_survives_as_arrays(features: np.ndarray, encoder: PanelEncoder) -> None:
    """The encoder that is made of its arrays encodes alike."""
    again = PanelEncoder.from_arrays(NAMES, encoder.arrays())
    for field in ("values", "calendar", "market", "known", "event"):
        assert np.array_equal(getattr(again(features), field), getattr(encoder(features), field))


def test_market_columns_are_volume_and_volatility() -> None:
    """By name; the size of the last return stands in where no volume is known."""
    assert market_columns(("rsi_14d", "dollar_volume_z_21d", "garman_klass_21d")) == {1: False, 2: False}
    assert market_columns(("return_1d", "return_5d", "volatility_ratio_5d_63d")) == {2: False, 0: True}
    assert market_columns(("rsi_14d",)) == {}


@pytest.mark.parametrize("end", [0, 2, 11, 14, 21, 29])
def test_windows_are_slices_of_the_panel(end: int, features: np.ndarray, encoder: PanelEncoder) -> None:
    """A naive loop over instants gives patches, ages and what is missing; before the panel nothing is known."""
    past = CONTEXT - 1
    encoded = encoder(features, past)
    found = WindowSource(encoded, CONTEXT, PATCH).windows(torch.tensor([end]))
    for symbol in range(N_SYMBOLS):
        ages, age = [], PAST
        for step in range(CONTEXT):
            at = end + step
            new = encoded.event[symbol, at] if step else encoded.known[symbol, at]
            age = 0 if new else age + 1
            ages.append(age)
        for patch in range(CONTEXT // PATCH):
            own = slice(end + patch * PATCH, end + (patch + 1) * PATCH)
            assert found.patches[0, symbol, patch].tolist() == encoded.values[symbol, own].flatten().tolist()
            assert found.calendar[0, symbol, patch].tolist() == encoded.calendar[symbol, own.stop - 1].tolist()
            assert found.market[0, symbol, patch].tolist() == encoded.market[symbol, own.stop - 1].tolist()
            assert bool(found.missing[0, symbol, patch]) == (not encoded.known[symbol, own].any())
            age = ages[(patch + 1) * PATCH - 1]
            assert int(found.age[0, symbol, patch]) == age or min(int(found.age[0, symbol, patch]), age) >= PAST


def test_a_repeated_row_is_no_new_bar(features: np.ndarray, encoder: PanelEncoder) -> None:
    """Features of a symbol without a bar are those of its last bar: its age grows."""
    source = WindowSource(encoder(features, CONTEXT - 1), CONTEXT, 1)
    ages = source.windows(torch.tensor([21])).age[0]
    assert ages[0].tolist() == [0, 0, 0, 1]
    assert ages[1].tolist() == [0, 0, 0, 0]


def test_joined_windows_are_one_batch(features: np.ndarray, encoder: PanelEncoder) -> None:
    """Batches one after another are the batch of both."""
    source = WindowSource(encoder(features, CONTEXT - 1), CONTEXT, PATCH)
    parts = [source.windows(torch.tensor([3])), source.windows(torch.tensor([9, 10]))]
    together = source.windows(torch.tensor([3, 9, 10]))
    for field in dataclasses.fields(Windows):
        assert torch.equal(getattr(joined(parts), field.name), getattr(together, field.name))
