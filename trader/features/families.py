"""All families, in the order in which features stand and the compiled loop runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from trader.core.errors import SettingsError
from trader.core.market import BAR_FIELDS
from trader.features.amihud import Amihud
from trader.features.atr import Atr
from trader.features.autocorrelation import Autocorrelation
from trader.features.bollinger import Bollinger
from trader.features.dates import Calendar
from trader.features.drawdown import Drawdown
from trader.features.ewma import EwmaVolatility
from trader.features.extremes import Extremes
from trader.features.family import Family
from trader.features.flow import Flow
from trader.features.garman_klass import GarmanKlass
from trader.features.macd import Macd
from trader.features.momentum import Momentum
from trader.features.parkinson import Parkinson
from trader.features.returns import Returns
from trader.features.rsi import Rsi
from trader.features.skewness import Skewness
from trader.features.spread import Spread
from trader.features.volatility import Volatility
from trader.features.volume import Volume
from trader.features.vwap import Vwap
from trader.features.yang_zhang import YangZhang
from trader.settings import FeatureSettings

__all__ = ["FAMILIES", "choose"]

FAMILIES: tuple[type[Family], ...] = (
    Returns,
    Momentum,
    Volatility,
    EwmaVolatility,
    Rsi,
    Macd,
    Bollinger,
    Extremes,
    Drawdown,
    Skewness,
    Autocorrelation,
    Calendar,
    Parkinson,
    GarmanKlass,
    YangZhang,
    Atr,
    Volume,
    Amihud,
    Flow,
    Vwap,
    Spread,
)
"""`kernels.run_block` calls their steps in this order."""


def choose(fields: Collection[str], settings: FeatureSettings) -> tuple[dict[int, Family], Mapping[str, str]]:
    """Return the families to compute, by place in `FAMILIES`, and the features left out with the reason.

    Raises
    ------
    SettingsError
        If a chosen family or a field does not exist.
    """
    known = [family.name for family in FAMILIES]
    unknown = sorted(set(settings.families) - set(known))
    if unknown:
        raise SettingsError(f"features.families names {unknown}; allowed are {', '.join(known)}")
    strange = sorted(set(fields) - set(BAR_FIELDS))
    if strange:
        raise SettingsError(f"fields name {strange}; allowed are {', '.join(BAR_FIELDS)}")
    computed: dict[int, Family] = {}
    left_out: dict[str, str] = {}
    for place, kind in enumerate(FAMILIES):
        if settings.families and kind.name not in settings.families:
            continue
        family = kind(settings.bars_per_day)
        missing = [name for name in BAR_FIELDS if name in family.needs() - set(fields)]
        if missing:
            left_out |= dict.fromkeys(family.names, f"needs {', '.join(missing)}")
        else:
            computed[place] = family
    return computed, left_out
