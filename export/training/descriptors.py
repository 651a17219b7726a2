"""What RDKit can compute of a molecule, as further lessons for the network: they need no measurement.

A few hundred measurements are few for 46,209 parameters. A network that must also find these in its hidden
layer learns from the same molecules what oil and water are; they are not asked of it afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

DESCRIPTORS: dict[str, Callable[[Chem.Mol], float]] = {
    "Crippen log P": lambda molecule: rdMolDescriptors.CalcCrippenDescriptors(molecule)[0],
    "Crippen molar refractivity": lambda molecule: rdMolDescriptors.CalcCrippenDescriptors(molecule)[1],
    "topological polar surface": rdMolDescriptors.CalcTPSA,
    "hydrogen bond donors": rdMolDescriptors.CalcNumHBD,
    "hydrogen bond acceptors": rdMolDescriptors.CalcNumHBA,
    "Labute surface": rdMolDescriptors.CalcLabuteASA,
    "rotatable bonds": rdMolDescriptors.CalcNumRotatableBonds,
    "fraction of sp3 carbons": rdMolDescriptors.CalcFractionCSP3,
    "aromatic rings": rdMolDescriptors.CalcNumAromaticRings,
}


def described(molecule: Chem.Mol) -> tuple[float, ...]:
    """In the order and the units of RDKit's functions in `DESCRIPTORS`."""
    return tuple(float(function(molecule)) for function in DESCRIPTORS.values())
