"""Features of bars: incremental (`FeatureEngine`), from scratch (`batch`), and across symbols (`CrossSection`)."""

from trader.features.batch import batch
from trader.features.cross_section import CrossSection, all_features
from trader.features.engine import FeatureEngine
from trader.features.families import FAMILIES

__all__ = ["FAMILIES", "CrossSection", "FeatureEngine", "all_features", "batch"]
