"""The configuration of a run: its schema, its YAML file, and messages about both."""
