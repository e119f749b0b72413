"""A small market with a planted signal as training set and as panel files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from trader.data.planted import plant
from trader.models.dataset import TrainingSet
from trader.models.panel_files import PanelFiles, open_panel
from trader.models.panel_writer import write_training_set
from trader.models.transformer_model import Transformer
from trader.settings import PlantedSettings

N_SYMBOLS = 5


def planted_set(
    n_days: int = 420, strength: float = 0.6, signal: Literal["lead_lag", "momentum"] = "lead_lag"
) -> TrainingSet:
    """Own returns, their size and the volume of five symbols, of which each follows another, or itself."""
    market = plant(PlantedSettings(signal=signal, strength=strength, n_symbols=N_SYMBOLS, n_days=n_days), seed=4)
    returns = np.zeros(market.panel.close.shape)
    returns[1:] = np.diff(np.log(market.panel.close), axis=0) / market.volatility
    volume = np.log(market.panel.volume)
    features = np.stack((returns, np.abs(returns), volume - volume.mean(axis=0)), axis=-1)
    features[::9, 2, 1] = np.nan
    names = ("return_1d", "volatility_1d", "volume_z_21d")
    return TrainingSet.build(features, names, market.panel.close, market.panel.ts_ns, horizon=1, fingerprint="planted")


def small_transformer(**params: Any) -> Transformer:
    """A transformer that learns the market in seconds."""
    preset = dict(Transformer.PRESETS["ci"])
    return Transformer(**preset | {"epochs": 3, "batch_size": 32, "patch": 1, "device": "cpu"} | params)


def panel_of(data: TrainingSet, folder: Path, file_slices: int = 60, overlap: int = 3) -> PanelFiles:
    """The set as files of a few dozen instants."""
    write_training_set(folder, data, overlap=overlap, file_slices=file_slices)
    return open_panel(folder)
