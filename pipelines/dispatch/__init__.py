"""Which row goes to which worker, and when; what becomes of a row whose worker dies. No Ray."""
