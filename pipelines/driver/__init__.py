"""One run: rows to the workers, outcomes to the ledger. Only the modules `ray_*` know Ray."""
