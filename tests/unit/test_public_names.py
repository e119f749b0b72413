"""Every module's `__all__` is true: names exist, and packages import."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

PACKAGES = ("trader", "risk", "serve", "tune")


def _modules() -> list[str]:
    names = []
    for package in PACKAGES:
        module = importlib.import_module(package)
        names.append(package)
        names += [
            info.name
            for info in pkgutil.walk_packages(module.__path__, f"{package}.")
            if ".migrations." not in info.name and not info.name.endswith("__main__")
        ]
    return names


@pytest.mark.parametrize("name", _modules())
def test_all_is_true(name: str) -> None:
    """Each name in `__all__` exists, none is listed twice, and every module but a bare package has one."""
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", None)
    if listed is None:
        assert hasattr(module, "__path__"), f"{name} has no __all__"
        return
    assert len(set(listed)) == len(listed)
    missing = [item for item in listed if not hasattr(module, item)]
    assert not missing, f"{name}.__all__ names {missing}, which do not exist"
