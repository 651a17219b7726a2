"""The GPU proof: what one machine with an NVIDIA GPU and no network can show of this deployment.

prepare.py fills the folders that are carried to it, setup.sh unpacks them there, proof.py measures; report.py holds the
figures. TensorRT is not among them: no package registry has its libraries.
"""
