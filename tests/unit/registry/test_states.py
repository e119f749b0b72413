"""The table of moves."""

from __future__ import annotations

import itertools

import pytest

from trader.core.errors import ConflictError
from trader.registry import states
from trader.registry.states import ALIASED, MOVES, Alias, State, check_move


def _documented() -> set[tuple[str, str]]:
    """Return the moves of the table in the module's docstring."""
    lines = (states.__doc__ or "").splitlines()
    rows = [line.split()[:2] for line in lines if line[:1].isupper() and "  " in line]
    return {(before, after) for before, after in rows if before in set(State) and after in set(State)}


def test_the_documented_table_is_the_real_one() -> None:
    """Each row of the docstring is an allowed move, and there are no others."""
    assert _documented() == {(before, after) for before, allowed in MOVES.items() for after in allowed}


def test_moves_are_checked() -> None:
    """Every pair is allowed by the table or refused."""
    for before, after in itertools.product(State, State):
        if after in MOVES[before]:
            check_move("m@1.0.0", before, after)
        else:
            with pytest.raises(ConflictError, match=f"m@1.0.0 is {before} and cannot become {after}; .* allowed"):
                check_move("m@1.0.0", before, after)


def test_nothing_that_an_alias_names_is_out_of_service() -> None:
    """No alias is compatible with training, failure or retirement."""
    for alias in Alias:
        assert ALIASED[alias] <= {State.STAGING, State.PRODUCTION}
