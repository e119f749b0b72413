"""A small builder of ONNX graphs in double precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.models.extras import optional

__all__ = ["Graph"]

_OPSET = 21
_ML_OPSET = 5  # the first whose trees add up in double precision
_IR_VERSION = 10


class Graph:
    """Nodes and constants, each known by the name of its output."""

    def __init__(self) -> None:
        self._helper = optional("onnx.helper", "onnx")
        self._numpy = optional("onnx.numpy_helper", "onnx")
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def constant(self, value: NDArray[Any] | Sequence[float] | float) -> str:
        """Add a constant; Python numbers become double precision."""
        array = value if isinstance(value, np.ndarray) else np.array(value, dtype=np.float64)
        name = f"constant_{len(self._constants)}"
        self._constants.append(self._numpy.from_array(np.ascontiguousarray(array), name))
        return name

    def op(self, kind: str, *inputs: str, output: str | None = None, domain: str = "", **attributes: Any) -> str:
        """Add a node and return its output."""
        name = output or f"{kind}_{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(kind, list(inputs), [name], domain=domain, **attributes))
        return name

    def tensor(self, array: NDArray[Any]) -> Any:
        """Return an array as the value of an attribute."""
        return self._numpy.from_array(array, "attribute")

    def build(
        self,
        name: str,
        inputs: Mapping[str, Sequence[str | int]],
        outputs: Mapping[str, Sequence[str | int]],
        metadata: Mapping[str, str],
    ) -> bytes:
        """Return the finished model; shapes are given by name of input and output, all in double precision."""
        onnx = optional("onnx", "onnx")
        double = onnx.TensorProto.DOUBLE

        def declared(tensors: Mapping[str, Sequence[str | int]]) -> list[Any]:
            return [self._helper.make_tensor_value_info(key, double, list(shape)) for key, shape in tensors.items()]

        graph = self._helper.make_graph(self._nodes, name, declared(inputs), declared(outputs), self._constants)
        versions = [self._helper.make_opsetid("", _OPSET), self._helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
        model = self._helper.make_model(
            graph, producer_name="gpt-trader", opset_imports=versions, ir_version=_IR_VERSION
        )
        self._helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString()
        return content
