"""What a run holds now, as the store knows it: of a run that goes on, one that ended, and one that died."""

from __future__ import annotations

import dataclasses
from typing import Any

from risk.options.held import greeks_of_file, options_at
from risk.snapshot import RiskSnapshot, take_snapshot
from risk.watch import Holdings
from trader.core.errors import NotFoundError
from trader.pipeline import DecisionLoop
from trader.settings import Settings
from trader.settings.sections import ExecutionSettings, GateSettings, SizingSettings
from trader.storage import RunRecord, Store

__all__ = ["RunRisk", "read_holdings", "risk_of", "risk_of_run", "with_options"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RunRisk:
    """The risk of a run at its last decision.

    Parameters
    ----------
    run_id, status : str
    snapshot : RiskSnapshot
    limits : mapping of str to float or None
        `max_var` and `max_es` of the gate, and the level they are meant at.
    greeks : mapping of str to float, optional
        `MONEY_GREEKS` of the book of options held beside it; None without one.
    """

    run_id: str
    status: str
    snapshot: RiskSnapshot
    limits: dict[str, float | None]
    greeks: dict[str, float] | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "run_id": self.run_id,
            "status": self.status,
            **self.snapshot.to_dict(),
            "limits": self.limits,
            "greeks": self.greeks,
        }


def risk_of_run(store: Store, run_id: str | None = None, *, level: float | None = None) -> RunRisk:
    """Return the risk of a run at its last decision.

    Parameters
    ----------
    run_id : str, optional
        The youngest run by default.
    level : float, optional
        That of the run's settings by default.

    Raises
    ------
    NotFoundError
        If there is no such run, or none at all.
    DataError
        If its book of options cannot be read.
    """
    if run_id is None:
        runs = store.runs()
        if not runs:
            raise NotFoundError("the store holds no run; `trader run` makes one")
        record = runs[-1]
    else:
        record = store.run(run_id)
    gate = GateSettings(**record.settings.get("risk", {}))
    holdings = read_holdings(store, record)
    return RunRisk(
        run_id=record.run_id,
        status=record.status,
        snapshot=risk_of(record.symbols, holdings, gate, level),
        limits={"max_var": gate.max_var, "max_es": gate.max_es, "level": gate.var_level},
        greeks=greeks_of_file(record.symbols, holdings, gate.option_positions),
    )


def risk_of(
    symbols: tuple[str, ...], holdings: Holdings, gate: GateSettings, level: float | None = None
) -> RiskSnapshot:
    """Return the risk of holdings as the settings want it measured, at another level if one is given."""
    level = gate.var_level if level is None else level
    return take_snapshot(symbols, holdings, level=level, min_bars=gate.min_var_bars)


def read_holdings(store: Store, record: RunRecord) -> Holdings:
    """Return what a run held at its last decision; nothing, at time -1, if it has made none."""
    settings = record.settings
    loop = DecisionLoop(
        len(record.symbols),
        sizing=SizingSettings(**settings.get("sizing", {})),
        execution=ExecutionSettings(**settings.get("execution", {})),
        gate=GateSettings(**settings.get("risk", {})),
        watch=True,
    )
    state = store.loop_state(record.run_id)
    if state is not None:
        loop.restore(state["loop"], store.recent_prices(record.run_id, loop.n_prices))
    return loop.holdings()


def with_options(settings: Settings, start_ns: int) -> Settings:
    """Return settings whose book of options can be read, from wherever the run's processes are.

    Raises
    ------
    NotFoundError, DataError
        If it cannot.
    """
    path = settings.risk.option_positions
    if path is None:
        return settings
    options_at(path, start_ns)
    return settings.model_copy(
        update={"risk": settings.risk.model_copy(update={"option_positions": path.expanduser().resolve()})}
    )
