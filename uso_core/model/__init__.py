"""USO on diffusers' modules, step by step: inputs, encoders, conditioning, denoise, decode."""
