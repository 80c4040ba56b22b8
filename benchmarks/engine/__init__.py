"""What the engine takes: seconds, TFLOP/s, memory and distance from exact of each way to draw."""
