"""Pictures for people: of pixels, of heat maps, of molecules."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rdkit import Chem, rdBase
from rdkit.Chem import Descriptors, rdMolDescriptors

from medserve import Prediction

SIDE = 320  # of a drawn molecule, in pixels
LIPINSKI = {"molecular_weight": 500.0, "logP": 5.0, "h_bond_donors": 5, "h_bond_acceptors": 10}


def picture_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of UINT8 [h, w] or [h, w, 3]."""
    return _written(Image.fromarray(np.ascontiguousarray(pixels)))


def overlay(prediction: Prediction, name: str, pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of a picture under its heat map."""
    return _written(prediction.overlay(Image.fromarray(np.ascontiguousarray(pixels)), of=name))


def _written(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def structure(smiles: bytes) -> bytes:
    """An SVG of a molecule that the server has answered for.

    Raises:
        ImportError: libXrender and libXext are not installed, which RDKit's own drawing is linked against.
    """
    from rdkit.Chem.Draw import rdMolDraw2D

    drawer = rdMolDraw2D.MolDraw2DSVG(SIDE, SIDE)
    options: Any = drawer.drawOptions()
    options.clearBackground = False
    rdMolDraw2D.PrepareAndDrawMolecule(drawer, _molecule(smiles))
    drawer.FinishDrawing()
    return str(drawer.GetDrawingText()).encode()


def descriptors(smiles: bytes) -> dict[str, float]:
    """What Lipinski's rule looks at: g/mol, Crippen's log P, counts. Source: Lipinski, Adv. Drug Deliv. Rev. 1997."""
    molecule = _molecule(smiles)
    return {
        "molecular_weight": round(float(Descriptors.MolWt(molecule)), 3),  # type: ignore[attr-defined]
        "logP": round(float(Descriptors.MolLogP(molecule)), 3),  # type: ignore[attr-defined]
        "h_bond_donors": int(rdMolDescriptors.CalcNumHBD(molecule)),
        "h_bond_acceptors": int(rdMolDescriptors.CalcNumHBA(molecule)),
    }


def _molecule(smiles: bytes) -> Chem.Mol:
    with rdBase.BlockLogs():  # RDKit prints what it was given: a compound may be a secret
        return Chem.MolFromSmiles(smiles.decode("ascii").split()[0])
