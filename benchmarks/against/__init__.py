"""The commands around a run, beside those of an earlier revision."""
