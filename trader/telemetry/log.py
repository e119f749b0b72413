"""Structured logs: one JSON object a line, with its context given explicitly.

A process calls `configure_logging` once, with a config that travels to it like any other argument. Loggers carry
`run_id`, `trace_id`, `symbol` because someone bound them, never because of a hidden context variable: an actor
serves many callers, and a variable set by one must not label the lines of another.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import IO, Any, Literal, get_args

import orjson
import structlog
from structlog.typing import FilteringBoundLogger, WrappedLogger

from trader.core.errors import OperationError, SettingsError

__all__ = ["LogConfig", "LogLevel", "configure_logging", "get_logger", "lost_lines"]

LogLevel = Literal["debug", "info", "warning", "error"]

EventDict = MutableMapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class LogConfig:
    """Where a process logs to.

    Parameters
    ----------
    path : Path, optional
        A file to append JSON lines to; several processes may share it. None writes no file.
    level : {"debug", "info", "warning", "error"}
        The least that is written.
    console : bool
        Also write short lines for people to stderr.
    """

    path: Path | None = None
    level: LogLevel = "info"
    console: bool = False

    def __post_init__(self) -> None:
        if self.level not in get_args(LogLevel):
            raise SettingsError(f"log level {self.level!r} is unknown; allowed are {', '.join(get_args(LogLevel))}")


class _Lines:
    """Appends lines to a file, each in one write, so that those of many processes do not mix."""

    def __init__(self, config: LogConfig) -> None:
        self.config = config
        self.lost = 0
        self._file: IO[bytes] | None = None
        if config.path is not None:
            try:
                config.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = config.path.open("ab", buffering=0)
            except OSError as error:
                raise OperationError(f"log file {config.path} cannot be opened: {error.strerror}") from error

    def write(self, line: bytes) -> None:
        """Write a line; what a full disk refuses is counted, for a log must not stop what it describes."""
        if self._file is not None:
            try:
                self._file.write(line + b"\n")
            except OSError:
                self.lost += 1

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _Sink:
    """What structlog writes to: the lines of the moment, also for loggers that were bound before a change."""

    def msg(self, line: bytes) -> None:
        _lines.write(line)

    debug = info = warning = error = critical = msg


_lines = _Lines(LogConfig())
_SINK = _Sink()


def configure_logging(config: LogConfig) -> None:
    """Set where this process logs to; the same config again changes nothing, another one replaces it.

    Raises
    ------
    OperationError
        If the file cannot be opened.
    """
    global _lines
    if structlog.is_configured() and config == _lines.config:
        return
    previous, _lines = _lines, _Lines(config)
    previous.close()
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
    ]
    if config.console:
        processors.append(_echo)
    processors.append(_to_json)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, config.level.upper())),
        logger_factory=lambda *_: _SINK,
        cache_logger_on_first_use=False,
    )


def get_logger(**context: Any) -> FilteringBoundLogger:
    """Return a logger whose lines all carry `context`; add to it with `.bind(symbol=...)`.

    It may be taken before `configure_logging`: it follows the configuration of the moment it writes. In a process
    that configures none it writes nothing.
    """
    if not structlog.is_configured():
        configure_logging(_lines.config)
    logger: FilteringBoundLogger = structlog.get_logger(**context)
    return logger


def lost_lines() -> int:
    """Return how many lines of this process could not be written."""
    return _lines.lost


def _to_json(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    ordered = {name: event.pop(name) for name in ("ts", "level", "event")}
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    return orjson.dumps(ordered | dict(event), default=str, option=options)


def _echo(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    context = " ".join(f"{key}={value}" for key, value in event.items() if key not in ("ts", "level", "event"))
    sys.stderr.write(f"{event['ts'][11:19]} {event['level']:<7} {event['event']} {context}".rstrip() + "\n")
    return event
