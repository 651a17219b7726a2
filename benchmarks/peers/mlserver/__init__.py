"""MLServer with a custom runtime and its adaptive batching."""
