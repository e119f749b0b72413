"""The protocols that the reference server speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trader.data.live.reference.alpaca import AlpacaProtocol
from trader.data.live.reference.binance import BinanceProtocol
from trader.data.live.reference.massive import MassiveProtocol
from trader.data.live.reference.protocol import Keys, WireProtocol

__all__ = ["PROTOCOLS"]

PROTOCOLS: Mapping[str, Callable[[Keys], WireProtocol]] = {
    "alpaca": AlpacaProtocol,
    "binance": BinanceProtocol,
    "massive": MassiveProtocol,
}
"""Makers of protocols by the vendor's name."""
