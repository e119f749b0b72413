"""From target weights to fills: the planner of orders, their costs, and the paper broker."""
