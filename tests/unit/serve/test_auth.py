"""Tokens: from the environment alone, compared in constant time, each with a role."""

from __future__ import annotations

import pickle

import pytest

from serve.auth import Guard, Role, credentials_from_environment
from trader.core.errors import SettingsError

ADA, BOB, ADMIN = "ada-has-a-long-token", "bob-has-another-token", "the-token-of-the-admin"


def test_users_come_from_settings_and_tokens_from_the_environment() -> None:
    """Every named user needs a token; the plain variable makes an admin; no token is kept, shown or sent."""
    found = credentials_from_environment(
        {"ada": "trader", "bob": "viewer"},
        {"TRADER_API_TOKEN_ADA": ADA, "TRADER_API_TOKEN_BOB": BOB, "TRADER_API_TOKEN": ADMIN},
    )
    assert {each.user: each.role for each in found} == {"ada": Role.TRADER, "bob": Role.VIEWER, "admin": Role.ADMIN}
    kept = repr(found).encode() + pickle.dumps(Guard(found))
    assert not [token for token in (ADA, BOB, ADMIN) if token.encode() in kept]
    assert credentials_from_environment({}, {}) == ()


@pytest.mark.parametrize(
    ("users", "environment", "message"),
    [
        ({"ada": "trader"}, {}, r"TRADER_API_TOKEN_ADA has 0 characters; a token needs at least 16"),
        ({}, {"TRADER_API_TOKEN": "short"}, "TRADER_API_TOKEN has 5 characters"),
        ({"ada": "boss"}, {"TRADER_API_TOKEN_ADA": ADA}, r"serve.users\['ada'\]='boss'.*viewer, trader, admin"),
        ({"a b": "admin"}, {}, "serve.users names 'a b'"),
        ({"ada": "trader"}, {"TRADER_API_TOKEN_ADA": ADA, "TRADER_API_TOKEN": ADA}, "is the token of 'ada' too"),
    ],
)
def test_what_cannot_protect_is_refused(users: dict[str, str], environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        credentials_from_environment(users, environment)
