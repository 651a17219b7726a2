"""Load campaigns: many callers at once against a running server, judged by benchmarks/slo.toml."""
