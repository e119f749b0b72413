"""Options: prices, sensitivities and what a book of them gains or loses."""
