"""One run: rows to the workers, outcomes to the ledger. Only `ray_actors` knows Ray."""
