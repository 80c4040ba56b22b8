"""Device tricks that leave the model alone: attention kernels, compiling, streaming, copies."""
