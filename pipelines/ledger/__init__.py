"""The records: parts that are written whole, one record per row, and the output's lease."""
