"""How assets move together: rolling and live correlations, breakdowns and regimes."""
