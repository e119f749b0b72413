"""Positions, cash, sizing and what they earned: pure functions of numbers."""
