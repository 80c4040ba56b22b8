"""The rows whose ids, fingerprints and records are kept in `tests/goldens/rows`."""
