"""The USO model on diffusers' modules: inputs, encoders, conditioning, denoising, decoding."""
