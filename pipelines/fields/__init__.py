"""The fields of a row's request: names, types, readers of cells, defaults and descriptions."""
