"""Runs a real tritonserver, the nvidia-pytriton wheel's or NVIDIA's image's, on one machine. No torch."""
