"""Runs a real tritonserver, out of the nvidia-pytriton wheel, on one machine. No torch."""
