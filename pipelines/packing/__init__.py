"""An output's images and records as one dataset in shards, that others' loaders open."""
