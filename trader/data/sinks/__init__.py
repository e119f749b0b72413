"""Where ticks and bars go beside the pipeline: Redis streams, Kafka, Parquet files."""

from trader.data.sinks.open import open_sink, open_sinks
from trader.data.sinks.packing import Packed, pack, unpack
from trader.data.sinks.queued import QueuedSink, SinkAwayError
from trader.data.sinks.sink import Sink, SinkStatus

__all__ = [
    "Packed",
    "QueuedSink",
    "Sink",
    "SinkAwayError",
    "SinkStatus",
    "open_sink",
    "open_sinks",
    "pack",
    "unpack",
]
