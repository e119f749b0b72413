"""The detectors by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from risk.anomaly.autoencoder import AutoencoderDetector
from risk.anomaly.base import ScaledDetector
from risk.anomaly.control import Cusum, EwmaChart, Shewhart
from risk.anomaly.features import QUOTE_FEATURES
from risk.anomaly.forest import IsolationForestDetector
from risk.anomaly.microstructure import QuoteRules
from trader.core.errors import DataError

__all__ = ["DETECTORS", "open_detector"]

DETECTORS: Mapping[str, type[ScaledDetector]] = {
    found.kind: found
    for found in (Shewhart, EwmaChart, Cusum, QuoteRules, IsolationForestDetector, AutoencoderDetector)
}


def open_detector(
    name: str, features: Sequence[str], *, halflife: float = 60.0, false_alarms: float = 1.0
) -> ScaledDetector:
    """Return a new detector over features, with the defaults of its kind.

    Raises
    ------
    DataError
        If there is no detector of that name, or quote rules are asked for over other features than a quote's.
    """
    if name not in DETECTORS:
        raise DataError(f"detector {name!r} is not known; {', '.join(DETECTORS)} are")
    if name == QuoteRules.kind:
        if tuple(features) != QUOTE_FEATURES:
            raise DataError(f"detector {name!r} needs the features {', '.join(QUOTE_FEATURES)}")
        return QuoteRules(halflife=halflife, false_alarms=false_alarms)
    return DETECTORS[name](features, halflife=halflife, false_alarms=false_alarms)
