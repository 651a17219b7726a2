"""FP32 → FP16 and INT8, in the ONNX graph itself: what a file computes in is never a builder's flag.

Only the encoder is lowered, from its first layer to the feature map. Normalisation before it, and everything
after it (softmax, entropy, heat map, dropout samples, the fingerprint), stays in FP32: it costs nothing
there, and 24-bit fingerprints do not fit into sixteen bits.
"""
