"""Gradient-boosted trees by LightGBM, XGBoost and CatBoost, optional libraries behind one interface."""

from trader.models.boosters.catboost_trees import CatBoost
from trader.models.boosters.lightgbm_trees import LightGBM
from trader.models.boosters.xgboost_trees import XGBoost

__all__ = ["CatBoost", "LightGBM", "XGBoost"]
