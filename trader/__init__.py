"""GPT-Trader: a pure, tested trading core with Ray at its edge."""

__version__ = "0.1.0"
__all__ = ["__version__"]
