"""The real pipeline under random faults; afterwards, every row is recorded exactly once."""
