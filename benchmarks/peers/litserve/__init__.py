"""LitServe, with its batching."""
