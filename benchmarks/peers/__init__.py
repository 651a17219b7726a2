"""What MedServe is compared with: other servers of the same weights and pictures, on the same machine."""
