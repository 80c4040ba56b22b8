"""The records of an output, one per row, in immutable parts; and the lease on the output."""
