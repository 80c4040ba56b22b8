"""Files on any filesystem that fsspec supports: atomic writes, uncached lists, one error type."""
