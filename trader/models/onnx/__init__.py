"""Models as ONNX graphs, for programs that are not Python; checked against the models themselves."""

from trader.models.onnx.check import check_onnx, sample_rows
from trader.models.onnx.export import save_onnx, to_onnx

__all__ = ["check_onnx", "sample_rows", "save_onnx", "to_onnx"]
