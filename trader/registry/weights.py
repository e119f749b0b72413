"""The weights of ensembles, as the store keeps them: append-only, with who and why."""

from __future__ import annotations

import time

from sqlalchemy import Engine, insert, select

from trader.models.weights import WeightChange, WeightSchedule
from trader.registry.database import Database
from trader.registry.records import Said
from trader.storage import Store
from trader.storage.codec import from_json, to_json
from trader.storage.registry_tables import ensemble_weights

__all__ = ["EnsembleWeights"]


class EnsembleWeights:
    """Which weights each ensemble has from when on.

    Parameters
    ----------
    store : Store or Engine
    """

    def __init__(self, store: Store | Engine) -> None:
        self._database = Database(store._engine if isinstance(store, Store) else store)

    def set(self, ensemble: str, change: WeightChange) -> None:
        """Add a change; earlier ones stay on record, and count where they are the last effective.

        Raises
        ------
        DataError
            If it does not say who made it and why.
        """
        said = Said(time.time_ns(), change.who, change.why)
        with self._database.write(ensemble) as connection:
            connection.execute(
                insert(ensemble_weights).values(
                    ensemble=ensemble,
                    effective_ns=change.effective_ns,
                    seen_until_ns=change.seen_until_ns,
                    weights=to_json(dict(change.weights)),
                    ts_ns=said.ts_ns,
                    who=said.who,
                    why=said.why,
                )
            )

    def changes(self, ensemble: str) -> list[WeightChange]:
        """Return all changes of an ensemble in the order they were made."""
        columns = ensemble_weights.c
        query = select(columns.effective_ns, columns.weights, columns.seen_until_ns, columns.who, columns.why).where(
            columns.ensemble == ensemble
        )
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(columns.change_no)).all()
        return [WeightChange(row[0], from_json(row[1]), row[2], row[3], row[4]) for row in rows]

    def schedule(self, ensemble: str) -> WeightSchedule:
        """Return the changes as a schedule."""
        return WeightSchedule(self.changes(ensemble))
