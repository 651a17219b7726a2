"""docs/performance.md, out of the figures in benchmarks/results."""
