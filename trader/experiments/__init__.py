"""Champion against challenger: what is planned, who scores what, what came of it, and what is decided. No Ray."""
