"""`trader halt`, `trader reduce`, `trader resume`: the trading state of a running session."""

from __future__ import annotations

import getpass
import os
from typing import Annotated

import typer

from trader.cli.common import ConfigOption, JsonOption, PresetOption, SetOption, err, print_json, read_settings
from trader.core.orders import TradingState

__all__ = ["register"]

RunArgument = Annotated[str | None, typer.Argument(help="Run id; may be left out while only one session runs.")]
WhyOption = Annotated[str, typer.Option("--why", help="Kept with the event.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, state, text in (
        ("halt", TradingState.HALTED, "Let no order pass, and cancel those that work, at once."),
        ("reduce", TradingState.REDUCING, "Let only orders pass that bring a position nearer to zero."),
        ("resume", TradingState.ACTIVE, "Let orders pass again."),
    ):
        app.command(name, help=f"{text}\n\nExample: trader {name} --why 'news'")(_command(state))


def _command(state: TradingState):  # type: ignore[no-untyped-def]  # typer reads the inner signature
    def command(
        run_id: RunArgument = None,
        why: WhyOption = "by hand",
        preset: PresetOption = None,
        config: ConfigOption = None,
        assignments: SetOption = None,
        as_json: JsonOption = False,
    ) -> None:
        settings = read_settings(preset, config, assignments)
        from trader.bootstrap import read_session

        session = read_session(settings, run_id)
        # Ray reads it when it is imported, so it is set before.
        os.environ.setdefault("RAY_AUTH_MODE", session.auth_mode)
        from trader.runtime.cluster import connect, leave_cluster
        from trader.runtime.session import set_trading_state

        connect(session.address)
        try:
            previous = set_trading_state(session.run_id, state, getpass.getuser(), why)
        finally:
            leave_cluster()
        if as_json:
            print_json({"run_id": session.run_id, "previous": previous, "current": state})
        else:
            err.print(f"{session.run_id}: {previous} → {state}", highlight=False)

    return command
