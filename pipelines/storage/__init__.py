"""Files on any filesystem that fsspec knows: atomic writes, fresh lists, one error."""
