"""Benchmark of `uso serve`; see docs/benchmarks.md."""
