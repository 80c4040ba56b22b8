"""Benchmark of the engine: seconds, TFLOP/s, memory and distance from exact, for each way."""
