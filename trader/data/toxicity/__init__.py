"""Toxicity of order flow: how one-sided volume is."""

from trader.data.toxicity.vpin import Classifier, Vpin, VpinBatch

__all__ = ["Classifier", "Vpin", "VpinBatch"]
