"""Value at risk and expected shortfall: the methods, what they scale by and what adds to them."""
