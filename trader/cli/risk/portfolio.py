"""A portfolio from a file of weights, or as a run left it."""

from __future__ import annotations

from pathlib import Path

from trader.core.errors import NotFoundError, UserError
from trader.settings import Settings

__all__ = ["portfolio_weights"]


def portfolio_weights(portfolio: str, settings: Settings) -> dict[str, float]:
    """Return weights by asset: of a file, or of what the run of that id held after its last decision.

    Raises
    ------
    NotFoundError
        If it is neither a file nor a run.
    UserError
        If the run holds nothing, or nothing is left of its equity.
    """
    from risk.files import read_weights
    from trader.storage import Store

    if Path(portfolio).exists():
        return read_weights(Path(portfolio))
    with Store.open(settings.store_url) as store:
        try:
            record = store.run(portfolio)
        except NotFoundError as error:
            raise NotFoundError(
                f"--portfolio {portfolio!r} is neither a file nor a run; trader runs lists these"
            ) from error
        decisions = store.decisions(portfolio)
    if not len(decisions) or not decisions.equity[-1] > 0.0:
        raise UserError(f"run {portfolio} has no decision that left equity; there is no portfolio to stress")
    value = decisions.positions[-1] * decisions.prices[-1] / decisions.equity[-1]
    weights = {
        symbol: float(weight)
        for symbol, weight, held in zip(record.symbols, value, decisions.positions[-1], strict=True)
        if held != 0.0
    }
    if not weights:
        raise UserError(f"run {portfolio} held nothing at its end; there is no portfolio to stress")
    return weights
