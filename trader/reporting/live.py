"""The terminal while a session runs: a panel that redraws itself, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from trader.reporting import formats as fmt
from trader.reporting.session_panel import plain_line, render, stage_bar
from trader.reporting.status import RunStatus

__all__ = ["LiveView"]


class LiveView:
    """Shows the latest status of a session; a context manager.

    Output goes to stderr, so that stdout holds results only.

    Parameters
    ----------
    console : Console, optional
        Default is stderr.
    plain_every_s : float, default 3
        Seconds between lines where the console is no terminal.
    clock : callable, default `time.monotonic`
        Seconds.

    Examples
    --------
    >>> with LiveView(Console(quiet=True)) as view:
    ...     view.update(RunStatus(run_id="demo", progress=0.5))
    """

    def __init__(
        self,
        console: Console | None = None,
        *,
        plain_every_s: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or Console(stderr=True)
        self._plain_every_s = plain_every_s
        self._clock = clock
        self._began: float | None = None
        self._printed: float | None = None
        self._noted: float | None = None
        self._unprinted: RunStatus | None = None
        self._live: Live | None = None
        self._status: RunStatus | None = None
        self._stage = ""
        self._stage_began = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end_stage(done=error is None)
        if self._live is not None:
            if self._status is not None:
                self._draw(None)
            self._live.stop()
            self._live = None
        elif self._unprinted is not None:
            self._print(self._unprinted)

    def progress(self, stage: str, share: float, note: str = "") -> None:
        """Show that `stage` has come to `share` (0 to 1) of its work; the stage before it is then done.

        `note` says how it goes; without a terminal it is shown at most every `plain_every_s` seconds.
        """
        now = self._clock()
        if stage != self._stage:
            self._end_stage()
            self._stage, self._stage_began = stage, now
            if self._live is None:
                if self._unprinted is not None:
                    self._print(self._unprinted)
                self._console.print(f"{stage} …", markup=False, highlight=False)
        elif self._live is None and note and (self._noted is None or now - self._noted >= self._plain_every_s):
            self._noted = now
            self._console.print(f"{stage} {share:.0%}  {note}", markup=False, highlight=False)
        if self._live is not None:
            self._draw(stage_bar(stage, share, now - self._stage_began, note))

    def update(self, status: RunStatus) -> None:
        """Show `status`; without a terminal, at most one line every `plain_every_s` seconds."""
        now = self._clock()
        if self._began is None:
            self._began = now
        self._end_stage()
        self._status = status
        if self._live is not None:
            self._draw(None)
        elif self._printed is None or now - self._printed >= self._plain_every_s:
            self._printed = now
            self._print(status)
        else:
            self._unprinted = status

    def _draw(self, stage: RenderableType | None) -> None:
        parts: list[RenderableType] = []
        if self._status is not None and self._began is not None:
            parts.append(render(self._status, self._clock() - self._began, self._console.width))
        if stage is not None:
            parts.append(stage)
        if self._live is not None:
            self._live.update(Group(*parts), refresh=True)

    def _end_stage(self, *, done: bool = True) -> None:
        """Leave a line of the stage that ended, with the time it took."""
        if self._stage and done and self._live is not None:
            took = fmt.duration(self._clock() - self._stage_began)
            self._console.print(Text.assemble(("✓ ", "green"), self._stage, (f"  {took}", "dim")))
        self._stage = ""

    def _print(self, status: RunStatus) -> None:
        self._unprinted = None
        self._console.print(plain_line(status), markup=False, highlight=False, soft_wrap=True)
