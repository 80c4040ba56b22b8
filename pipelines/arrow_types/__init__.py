"""Types and values of Arrow columns: stored exactly, and shown."""
