"""Proof of learning: how much of what can be known of a planted market a model finds.

The market is simulated with a signal of known strength (`trader.data.planted`), so the best possible forecast is
known. A model that reaches most of its information coefficient learns that kind of signal; one that reaches none
cannot see it, whatever it shows on real data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.data.planted import plant
from trader.features import CrossSection, FeatureEngine, all_features
from trader.models.kinds import create
from trader.models.targets import ENTRY_DELAY, scaled_target, trailing_volatility
from trader.models.walk_forward import past_of
from trader.settings import FeatureSettings, PlantedSettings
from trader.validation.bootstrap import bootstrap_interval
from trader.validation.ic import information_coefficient

__all__ = ["PROOF_FAMILIES", "ProofData", "ProofResult", "learning_proof", "proof_data"]

FloatArray = NDArray[np.float64]

PROOF_FAMILIES: tuple[str, ...] = ("returns", "momentum", "volatility", "volume")
"""Feature families that hold what the planted signals are made of."""

_FIELDS = frozenset({"open", "high", "low", "close", "volume"})


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ProofData:
    """A planted market as a model sees it, and the best forecast of it.

    Parameters
    ----------
    settings : PlantedSettings
    horizon : int
        Bars.
    features : ndarray of shape (n_slices, n_symbols, n_features)
    target, oracle : ndarray of shape (n_slices, n_symbols)
        `scaled_target`, and the conditional mean of the return in the same unit; NaN where unknown.
    feature_names : tuple of str
    """

    settings: PlantedSettings
    horizon: int
    features: FloatArray
    target: FloatArray
    oracle: FloatArray
    feature_names: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class ProofResult:
    """What a model found on instants after those it learnt from.

    Parameters
    ----------
    signal, model : str
    ic, oracle_ic : float
        Mean rank information coefficients of the model and of the oracle.
    share : float
        ``ic / oracle_ic``.
    ic_interval, share_interval : tuple of float
        At `level`, by the stationary bootstrap over instants; model and oracle are drawn together.
    level : float
    n_train, n_test : int
        Instants.
    """

    signal: str
    model: str
    ic: float
    oracle_ic: float
    share: float
    ic_interval: tuple[float, float]
    share_interval: tuple[float, float]
    level: float
    n_train: int
    n_test: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, ready for JSON."""
        return dataclasses.asdict(self)


def proof_data(
    settings: PlantedSettings, *, seed: int, horizon: int = 1, families: tuple[str, ...] = PROOF_FAMILIES
) -> ProofData:
    """Simulate a planted market and compute its features with the engine that live trading uses.

    Every feature is of the symbol itself or of its rank among all symbols: none names another symbol.

    Parameters
    ----------
    settings : PlantedSettings
    seed : int
    horizon : int, default=1
        Bars that the target looks ahead.
    families : tuple of str
        As in `FeatureSettings.families`.
    """
    market = plant(settings, seed=seed)
    engine = FeatureEngine(settings.n_symbols, _FIELDS, FeatureSettings(families=families))
    ranks = CrossSection(engine.names, settings.n_symbols)
    closes = market.panel.close
    return ProofData(
        settings=settings,
        horizon=horizon,
        features=all_features(engine.update(market.panel), ranks),
        target=scaled_target(closes, horizon),
        oracle=market.oracle(horizon, ENTRY_DELAY) / (trailing_volatility(closes) * np.sqrt(horizon)),
        feature_names=engine.names + ranks.names,
    )


def learning_proof(
    data: ProofData,
    model: str,
    params: Mapping[str, Any] | None = None,
    *,
    train_share: float = 0.7,
    seed: int = 0,
    level: float = 0.95,
    n_resamples: int = 1000,
) -> ProofResult:
    """Fit a model on the first part of a planted market and judge it on the rest, beside the oracle.

    Parameters
    ----------
    data : ProofData
        Of `proof_data`.
    model : str
        A kind of `trader.models.kinds.MODELS`.
    params : mapping, optional
        Its hyperparameters.
    train_share : float, default=0.7
        Share of the instants to learn from, less those whose labels reach into the rest.
    seed : int
        Of the fit and of the bootstrap.
    level, n_resamples
        Of the intervals.

    Notes
    -----
    At an instant where the model orders nothing (it abstains, or its scores are equal) its information
    coefficient counts as 0.

    Examples
    --------
    >>> from trader.settings import PlantedSettings
    >>> data = proof_data(PlantedSettings(signal="momentum", n_days=1500), seed=1)
    >>> result = learning_proof(data, "linear")
    >>> result.share > 0.7
    True
    """
    if not 0 < train_share < 1:
        raise DataError(f"train_share={train_share} is not allowed; it must lie between 0 and 1")
    n_slices = data.target.shape[0]
    split = int(train_share * n_slices)
    instants = np.arange(split - ENTRY_DELAY - data.horizon)
    fitted = create(model, **(params or {})).fit_panel(
        data.features[:split],
        data.target[:split],
        feature_names=data.feature_names,
        seed=seed,
        instants=instants,
    )
    scores = fitted.predict_panel(*past_of(data.features, np.arange(split, n_slices), fitted.context))
    ics = _paired_ics(scores, data.oracle[split:], data.target[split:])

    def share(sample: FloatArray) -> float:
        found, possible = sample.mean(axis=0)
        return float(found / possible)

    found, possible = ics.mean(axis=0)
    return ProofResult(
        signal=data.settings.signal,
        model=model,
        ic=float(found),
        oracle_ic=float(possible),
        share=share(ics),
        ic_interval=bootstrap_interval(lambda sample: float(sample.mean()), ics[:, 0], level, n_resamples, seed),
        share_interval=bootstrap_interval(share, ics, level, n_resamples, seed),
        level=level,
        n_train=int(instants.size),
        n_test=int(ics.shape[0]),
    )


def _paired_ics(scores: FloatArray, oracle: FloatArray, target: FloatArray) -> FloatArray:
    """Return the rank IC of scores and oracle at the instants where the oracle has one, shape (n_instants, 2)."""
    possible = information_coefficient(oracle, target)
    known = np.isfinite(possible)
    found = np.nan_to_num(information_coefficient(scores, target))
    return np.stack([found[known], possible[known]], axis=1)
