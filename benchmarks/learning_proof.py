"""What share of the best possible forecast each model finds on markets with a planted signal."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.options import Options
from benchmarks.results import Result, Target
from benchmarks.ticks import SEED
from trader.data.simulation.signals import SIGNALS
from trader.models.kinds import available, preset
from trader.models.proof import ProofData, learning_proof, proof_data
from trader.settings import PlantedSettings

__all__ = ["run"]

_PRESET = "demo"
_SHARE = 0.9
"""Of the oracle: what cross-asset attention is to reach where boosting on own features finds nothing."""


def run(options: Options) -> Result:
    """Fit every model on the first part of each market and judge it on the rest."""
    markets = {signal: _market(signal, options) for signal in SIGNALS}
    proofs: dict[str, dict[str, dict[str, Any]]] = {}
    for model in available():
        for signal, data in markets.items():
            options.say(f"{model} on {signal}")
            started = time.perf_counter()
            params = preset(model, "ci" if options.quick else _PRESET)
            result = learning_proof(data, model, params, seed=SEED).to_dict()
            proofs.setdefault(model, {})[signal] = {**result, "seconds": time.perf_counter() - started}
    size = next(iter(markets.values())).settings
    return Result(
        "learning_proof",
        "Share of the oracle's information coefficient, by model and planted signal",
        "markets",
        {
            "symbols": size.n_symbols,
            "days": size.n_days,
            "strength": size.strength,
            "features": len(next(iter(markets.values())).feature_names),
            "preset": "ci" if options.quick else _PRESET,
            "seed": SEED,
        },
        (),
        _targets(proofs),
        {
            "share of the oracle": {
                model: {signal: found["share"] for signal, found in signals.items()}
                for model, signals in proofs.items()
            },
            "proofs": [found for signals in proofs.values() for found in signals.values()],
        },
    )


def _market(signal: str, options: Options) -> ProofData:
    n_days = 1_500 if options.quick else 4_000
    return proof_data(PlantedSettings.model_validate({"signal": signal, "n_days": n_days}), seed=SEED)


def _targets(proofs: dict[str, dict[str, dict[str, Any]]]) -> list[Target]:
    """Return the promises; a model that is not installed here has kept none."""

    def share(model: str) -> float:
        return float(proofs[model]["lead_lag"]["share"]) if model in proofs else float("nan")

    low = proofs["boosting"]["lead_lag"]["share_interval"][0]
    return [
        Target("transformer on lead-lag", "of the oracle", share("transformer"), ">=", _SHARE),
        Target("boosting on lead-lag, lower bound", "of the oracle", float(low), "<=", 0.0),
    ]
