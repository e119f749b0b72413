"""One frozen settings object: init > environment > YAML > default.

>>> from trader.settings import Settings
>>> Settings(run={"seed": 3}).run.seed
3
"""

from trader.settings.loading import PRESETS, Settings, load_settings
from trader.settings.sections import (
    BarSettings,
    ExecutionSettings,
    ExperimentSettings,
    FeatureSettings,
    FeedSettings,
    GateSettings,
    LiveSettings,
    ModelSettings,
    PlantedSettings,
    RaySettings,
    RegistrySettings,
    RunSettings,
    ServeSettings,
    SimulationSettings,
    SizingSettings,
    StoreSettings,
    TelemetrySettings,
)
from trader.settings.sinks import SinkSettings

__all__ = [
    "PRESETS",
    "BarSettings",
    "ExecutionSettings",
    "ExperimentSettings",
    "FeatureSettings",
    "FeedSettings",
    "GateSettings",
    "LiveSettings",
    "ModelSettings",
    "PlantedSettings",
    "RaySettings",
    "RegistrySettings",
    "RunSettings",
    "ServeSettings",
    "Settings",
    "SimulationSettings",
    "SinkSettings",
    "SizingSettings",
    "StoreSettings",
    "TelemetrySettings",
    "load_settings",
]
