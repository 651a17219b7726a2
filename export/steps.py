"""The first steps that models share, and the tensors that they hand to a net."""

from __future__ import annotations

from export.spec import Step, Tensor


def _pixels(side: int) -> Tensor:
    return Tensor(
        name="pixels",
        dtype="UINT8",
        dims=(3, side, side),
        meaning="RGB, 0..255, bilinear resize of the whole picture to the square, no crop",
    )


_IMAGE = Tensor(name="image", dtype="BYTES", dims=(1,), meaning="an image file's bytes, base64 text or data: URI")

PREPROCESS_IMAGE = Step(
    name="preprocess_image",
    function="preprocess.image:images_to_pixels",
    arguments=(("side", 224),),
    input=_IMAGE,
    outputs=(_pixels(224),),
)

FEATURIZE_MOLECULE = Step(
    name="featurize_molecule",
    function="preprocess.molecule:molecules_to_graphs",
    input=Tensor(name="smiles", dtype="BYTES", dims=(1,), meaning="one SMILES string, ASCII"),
    outputs=(
        Tensor(
            name="atoms",
            dtype="FP32",
            dims=(-1, 15),
            meaning="15 atom features (preprocess.molecule.ATOM_FEATURES), zero rows as padding",
        ),
        Tensor(
            name="bonds",
            dtype="UINT8",
            dims=(-1, -1),
            meaning="adjacency without self-loops, 0 or 1, symmetric",
        ),
        Tensor(name="mask", dtype="FP32", dims=(-1,), meaning="1 for an atom, 0 for padding"),
    ),
    instances=1,
)
