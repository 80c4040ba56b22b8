"""The run's configuration: its schema, the YAML file, and messages about both."""
