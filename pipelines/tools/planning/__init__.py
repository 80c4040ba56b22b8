"""What a run will cost, before it runs: its rows, arithmetic, time, price and storage."""
