"""Triton as its tutorials teach it: a python step that normalises, an ONNX model, an ensemble."""
