"""The `uso` command: what a user types, sees and gets back."""
