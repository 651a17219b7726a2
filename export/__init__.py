"""PyTorch → ONNX → Triton model repository. An application (`python -m export`), never published."""
