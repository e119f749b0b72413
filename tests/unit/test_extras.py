"""The optional libraries import on the versions that are pinned, and a missing one is named."""

from __future__ import annotations

import importlib

import pytest

from trader.core.errors import ModelError
from trader.models.extras import optional

EXTRAS = {
    "boosting": ("lightgbm", "xgboost", "catboost"),
    "explain": ("shap",),
    "kafka": ("confluent_kafka",),
    "onnx": ("onnx", "onnxruntime"),
    "options": ("QuantLib",),
}


@pytest.mark.parametrize(("extra", "name"), [(extra, name) for extra, names in EXTRAS.items() for name in names])
def test_libraries_of_extras_import(extra: str, name: str) -> None:
    """Where it is installed it imports without a warning (they are errors here)."""
    pytest.importorskip(name)
    assert optional(name, extra) is importlib.import_module(name)


def test_a_missing_library_is_named_with_its_extra() -> None:
    """What to install is in the message."""
    with pytest.raises(ModelError, match=r"no_such_library is not installed; pip install 'gpt-trader\[onnx\]'"):
        optional("no_such_library", "onnx")
