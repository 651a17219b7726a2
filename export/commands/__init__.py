"""What `python -m export` does, one file a command: `add` declares its options, `run` obeys them."""
