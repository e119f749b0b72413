"""Messages, protocols, errors and clocks: standard library and numpy only."""
