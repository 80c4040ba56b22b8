"""Everything that imports Ray: actors, session, packing tasks, metrics and the head watch."""
