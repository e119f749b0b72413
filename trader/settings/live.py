"""The section about connections of live feeds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trader.settings.section import NonNegative, Positive, Section

__all__ = ["LIVE_KINDS", "LiveSettings"]

LIVE_KINDS = ("alpaca", "binance", "massive")
"""Vendors of live ticks."""


class LiveSettings(Section):
    """Connections of a live feed."""

    url: str | None = Field(None, pattern=r"^wss?://")
    """Where the vendor's streams are; null takes the vendor's own address, `ws://127.0.0.1:PORT` a local server."""
    market: Literal["spot", "usdm"] = "spot"
    """Binance's spot market, or its USD-M futures."""
    urls: dict[str, str] = Field(default_factory=dict)
    """Addresses by vendor, where several sources feed one run."""
    venue: Literal["iex", "sip", "test"] = "iex"
    """Alpaca's: IEX only, all US exchanges, or its test stream."""
    backfill: bool = True
    """Fetch over REST what was missed, where the vendor has it."""
    backfill_timeout_s: Positive = 5.0
    """How long rows may wait, after a reconnection, for those that were missed."""
    switch_after_s: Positive = 2.0
    """A symbol that a source has not brought for so long, while another did, is taken from the other."""
    standby_rows: int = Field(4096, ge=1)
    """Newest rows of each symbol that are kept of each source that it is not taken from, for a switch."""
    return_after_s: Positive = 30.0
    """A source of higher priority is taken again when it has been well for so long."""
    connect_timeout_s: Positive = 10.0
    start_deadline_s: Positive = 30.0
    """A feed that has brought nothing by then ends with an error."""
    stale_s: Positive = 30.0
    """A connection that brings nothing for so long is given up and made again."""
    symbol_stale_s: Positive = 120.0
    """A symbol that is silent for so long is reported."""
    backoff_first_s: Positive = 0.25
    """Wait before the first attempt to reconnect; it doubles with every failure, with jitter."""
    backoff_cap_s: Positive = 30.0
    """Longest wait; a connection that lasted as long begins again with the first."""
    rollover_s: Positive = 84_600.0
    """Age at which a connection is replaced, by one that is made before it ends; Binance cuts at 24 hours."""
    batch_ms: Positive = 50.0
    """Ticks are passed on at least so often."""
    reorder_ms: NonNegative = 0.0
    """How long ticks wait for earlier ones, to be passed on in the order in which they happened."""
    clock_every_s: Positive = 60.0
    """How often a vendor is asked for its time, where it tells it."""
    duration_s: Positive | None = None
    """Ends the feed after so long; null goes on until it is stopped."""
