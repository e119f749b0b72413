"""The section about where ticks and bars go beside the pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from trader.settings.section import NonNegative, Section

__all__ = ["SinkSettings"]


class RedisSinkSettings(Section):
    """Redis streams `STREAM:ticks` and `STREAM:bars`."""

    url: str | None = Field(None, pattern=r"^(rediss?|unix)://")
    """`redis://host:port/db`, `rediss://…` or `unix:///path`; null for none."""
    stream: str = Field("gpt-trader", min_length=1)
    maxlen: int = Field(100_000, ge=1)
    """About how many entries Redis keeps, each a batch; older ones go, read or not."""


class KafkaSinkSettings(Section):
    """Kafka topics `TOPIC.ticks` and `TOPIC.bars`; needs the extra `kafka`."""

    servers: str | None = None
    """`host:port`, comma-separated; null for none."""
    topic: str = Field("gpt-trader", min_length=1)


class ParquetSinkSettings(Section):
    """Parquet files by kind, symbol, and day (ticks) or year (bars)."""

    path: Path | None = None
    """A folder; null for none."""


class SinkSettings(Section):
    """Where the ticks and bars of a run go beside the pipeline."""

    data: tuple[Literal["ticks", "bars"], ...] = ("ticks", "bars")
    """What is written."""
    max_rows: int = Field(1_000_000, ge=1)
    """Rows that may wait for each sink. When there are more, a live feed's oldest are dropped and counted, and a replay
    waits; for a sink that is away it does not, and its rows are dropped."""
    close_s: NonNegative = 10.0
    """How long the end of a run waits for the sinks."""
    redis: RedisSinkSettings = RedisSinkSettings()
    kafka: KafkaSinkSettings = KafkaSinkSettings()
    parquet: ParquetSinkSettings = ParquetSinkSettings()

    @property
    def are_on(self) -> bool:
        """Whether anything is written anywhere."""
        named = (self.redis.url, self.kafka.servers, self.parquet.path)
        return bool(self.data) and any(place is not None for place in named)
