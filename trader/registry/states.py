"""The life of a version: its states, and the moves between them.

=========== ============================ ==========================================================
from        to                           how
=========== ============================ ==========================================================
(nothing)   TRAINING                     `begin`
TRAINING    STAGING                      `complete`, once the artefact is whole
TRAINING    FAILED                       `fail`
STAGING     PRODUCTION                   `promote`; a SUSPECT report must be acknowledged first
STAGING     RETIRED                      `archive`; not while an alias names it
PRODUCTION  STAGING                      by a rollback away from it; not while it is champion
PRODUCTION  RETIRED                      `archive`; not while an alias names it
RETIRED     STAGING                      by `transition`, while the artefact is there
FAILED                                   the end
=========== ============================ ==========================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from trader.core.errors import ConflictError

__all__ = ["ALIASED", "MOVES", "Alias", "State", "check_move"]


class State(StrEnum):
    """Where a version is in its life."""

    TRAINING = "TRAINING"
    STAGING = "STAGING"
    PRODUCTION = "PRODUCTION"
    RETIRED = "RETIRED"
    FAILED = "FAILED"


class Alias(StrEnum):
    """A name for at most one version of a model."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    SHADOW = "shadow"


MOVES: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.TRAINING: frozenset({State.STAGING, State.FAILED}),
        State.STAGING: frozenset({State.PRODUCTION, State.RETIRED}),
        State.PRODUCTION: frozenset({State.STAGING, State.RETIRED}),
        State.RETIRED: frozenset({State.STAGING}),
        State.FAILED: frozenset(),
    }
)
"""Which states each state may be left for."""

ALIASED: Mapping[Alias, frozenset[State]] = MappingProxyType(
    {
        Alias.CHAMPION: frozenset({State.PRODUCTION}),
        Alias.CHALLENGER: frozenset({State.STAGING, State.PRODUCTION}),
        Alias.SHADOW: frozenset({State.STAGING, State.PRODUCTION}),
    }
)
"""The states that a version with an alias is in."""


def check_move(ref: str, before: State, after: State) -> None:
    """Refuse a move that the table does not have with ConflictError, naming those it has.

    >>> check_move("linear@1.0.0", State.FAILED, State.STAGING)
    Traceback (most recent call last):
    trader.core.errors.ConflictError: linear@1.0.0 is FAILED and cannot become STAGING; no other state is allowed
    """
    if after not in MOVES[before]:
        allowed = ", ".join(sorted(MOVES[before])) or "no other state"
        verb = "are" if len(MOVES[before]) > 1 else "is"
        raise ConflictError(f"{ref} is {before} and cannot become {after}; {allowed} {verb} allowed")
