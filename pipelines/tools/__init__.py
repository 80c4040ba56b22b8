"""Tools around a run: compose a manifest, validate and plan a run, report on its output."""
