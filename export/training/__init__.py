"""Trains the solubility ensemble that is shipped: a CSV of SMILES and log S → weights and their figures."""
