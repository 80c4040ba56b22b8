"""How a run is watched from outside: its metrics, its log, and the events it sends."""
