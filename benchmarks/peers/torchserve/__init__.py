"""TorchServe with a custom handler and its batching."""
