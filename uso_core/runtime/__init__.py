"""Device-level techniques, independent of the model's definition: kernels, compiling, streaming."""
