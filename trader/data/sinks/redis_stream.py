"""Ticks and bars in a Redis stream, each batch exactly once.

An entry holds one batch: `kind`, `source`, `number`, `rows`, and `data`, an Arrow IPC stream (`packing.py`). A batch of
all symbols is one entry, not one a symbol: at a given rate of ticks that is fewer commands, and the order of receipt
among symbols is kept.

A writer whose command was not answered cannot know whether it was carried out, and sends it again. Each source
therefore has a mark in Redis, `{stream}:mark:SOURCE`, the number of its last batch; a script, which Redis carries out
and logs as a whole, adds only batches with higher numbers and moves the mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trader.core.errors import SettingsError
from trader.core.market import Universe
from trader.data.content import kind_of
from trader.data.sinks.packing import pack
from trader.data.sinks.queued import Item, Outcome, Overflow, QueuedSink, SinkAwayError
from trader.data.sinks.redis_client import connect, probe

__all__ = ["RedisStreamSink", "mark_key"]

_KEEP_S = 7 * 24 * 3600
_WRITE = """
local mark = tonumber(redis.call('GET', KEYS[2]) or '-1')
local added = {}
for i = 4, #ARGV, 4 do
  local number = tonumber(ARGV[i])
  if number > mark then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'kind', ARGV[i + 1], 'source', ARGV[1],
      'number', ARGV[i], 'rows', ARGV[i + 2], 'data', ARGV[i + 3])
    mark = number
    added[#added + 1] = 1
  else
    added[#added + 1] = 0
  end
end
redis.call('SET', KEYS[2], string.format('%.0f', mark), 'EX', ARGV[3])
return added
"""


def mark_key(stream: str, source: str) -> str:
    """Return the key that holds the number of a source's last batch; of the stream's slot in a cluster.

    >>> mark_key("ticks", "run-7/shard-0")
    '{ticks}:mark:run-7/shard-0'
    """
    return f"{{{stream}}}:mark:{source}"


class RedisStreamSink(QueuedSink):
    """Writes to a Redis stream.

    While Redis is away, rows wait in memory, bounded, and it is tried again with growing waits. What Redis has
    acknowledged is as safe as its own settings make it: with `appendfsync always` it survives a crash.

    Parameters
    ----------
    url : str
        `redis://host:port/db`, `rediss://…` or `unix:///path`.
    stream : str
        Name of the stream.
    universe : Universe
    source : str
        Names this writer. Batches of one source are written once, whoever sends them again within a week; two writers
        at a time need two names.
    maxlen : int, default=100_000
        About how many entries Redis keeps. Older ones go whether they were read or not.
    max_rows : int, default=1_000_000
    overflow : {"drop_oldest", "refuse", "wait"}, default="drop_oldest"

    Raises
    ------
    SettingsError
        If the URL is of another form. Whether a server answers is not asked.
    """

    def __init__(
        self,
        url: str,
        stream: str,
        universe: Universe,
        source: str,
        *,
        maxlen: int = 100_000,
        max_rows: int = 1_000_000,
        overflow: Overflow = "drop_oldest",
    ) -> None:
        super().__init__(f"redis:{stream}", max_rows=max_rows, overflow=overflow)
        if not stream or not source:
            raise SettingsError(f"stream={stream!r}, source={source!r}; both need a name")
        self._client = connect(url)
        self._script = self._client.register_script(_WRITE)
        self._stream = stream
        self._universe = universe
        self._source = source
        self._maxlen = maxlen

    def check(self) -> None:
        """Ask whether the server answers, and whether the key is a stream or free.

        Raises
        ------
        ServiceUnavailableError
            If it does not.
        SettingsError
            If the key holds something else.
        """
        probe(self._client, self._stream)

    def _send(self, items: Sequence[Item]) -> Sequence[Outcome]:
        import redis

        arguments: list[Any] = [self._source, self._maxlen, _KEEP_S]
        for item in items:
            batch = item.batch
            arguments += [item.number, kind_of(batch), len(batch), pack(batch, self._universe)]
        try:
            added = self._script(keys=[self._stream, mark_key(self._stream, self._source)], args=arguments)
        except (redis.RedisError, OSError) as error:
            raise SinkAwayError(f"{type(error).__name__}: {error}") from error
        return ["written" if new else "repeated" for new in added]

    def _end(self) -> None:
        self._client.close()
