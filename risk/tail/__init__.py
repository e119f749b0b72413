"""Tails: losses rarer than the sample holds, and losses that come together."""
