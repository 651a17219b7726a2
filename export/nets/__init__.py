"""Networks and parts of networks that no library provides."""
