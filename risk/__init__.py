"""Risk: the gate every order passes."""
