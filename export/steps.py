"""The first steps that models share, and the tensors that they hand to a net.

One for each kind of picture, not one for all: a step refuses the DICOM file of another modality,
and it cannot know which model it works for.
"""

from __future__ import annotations

from export.spec import Step, Tensor
from preprocess.statistics import MEANING_OF_A_MOLECULE, MEANING_OF_A_PICTURE, OF_A_MOLECULE, OF_A_PICTURE

_FILE = "an image file's bytes (DICOM, PNG, JPEG, TIFF, BMP, WebP), base64 text or data: URI"
_GREY, _COLOUR = ("colour", False), ("colour", True)


def _bytes(name: str, meaning: str, *, optional: bool = False) -> Tensor:
    return Tensor(name=name, dtype="BYTES", dims=(1,), meaning=meaning, optional=optional)


def _pixels(side: int, prefix: str = "") -> Tensor:
    return Tensor(
        name=f"{prefix}pixels",
        dtype="UINT8",
        dims=(3, side, side),
        meaning="RGB, 0..255, bilinear resize of the whole picture to the square, no crop",
    )


def _picture(name: str, side: int, accepts: tuple[tuple[str, object], ...]) -> Step:
    return Step(
        name=name,
        function="preprocess.image:images_to_pixels",
        arguments=(("side", side), *accepts),
        inputs=(_bytes("image", _FILE),),
        outputs=(_pixels(side),),
        statistics=OF_A_PICTURE,
        statistics_meaning=MEANING_OF_A_PICTURE,
    )


# DICOM's defined terms, PS3.3 C.7.3.1.1.1: computed and digital radiography, film that was scanned.
_XRAY = (
    ("modalities", ("CR", "DX", "RG")),
    _GREY,
    ("body_parts", ("CHEST", "THORAX", "LUNG", "CHESTABDOMEN", "RIB")),
    ("views", ("AP", "PA")),
)
# Photographs: dermoscopy, external camera, endoscope-like cameras; OT is how converted pictures are sent.
_SKIN = (("modalities", ("DMS", "XC", "OT")), _COLOUR)
_BRAIN = ("HEAD", "BRAIN", "SKULL", "HEADNECK")
_WINDOW = ("window", (40.0, 80.0))  # centre and width in HU of a brain, where the file has none
_CT = (("modalities", ("CT",)), _GREY, ("body_parts", _BRAIN), _WINDOW)
_MRI = (("modalities", ("MR",)), _GREY, ("body_parts", _BRAIN))

PREPROCESS_XRAY = _picture("preprocess_xray", 224, _XRAY)
PREPROCESS_SKIN = _picture("preprocess_skin", 224, _SKIN)
PREPROCESS_SKIN_896 = _picture("preprocess_skin_896", 896, _SKIN)
PREPROCESS_CT = _picture("preprocess_ct", 224, _CT)
PREPROCESS_MRI = _picture("preprocess_mri", 224, _MRI)

PREPROCESS_CT_MRI = Step(
    name="preprocess_ct_mri",
    function="preprocess.pair:pairs_to_pixels",
    arguments=(
        ("side", 224),
        ("ct_modalities", ("CT",)),
        ("mri_modalities", ("MR",)),
        ("body_parts", _BRAIN),
        _WINDOW,
    ),
    inputs=(
        _bytes("ct", f"{_FILE}; zero bytes: no CT", optional=True),
        _bytes("mri", f"{_FILE}; zero bytes: no MRI", optional=True),
    ),
    outputs=tuple(
        tensor
        for modality in ("ct", "mri")
        for tensor in (
            _pixels(224, f"{modality}_"),
            Tensor(name=f"{modality}_present", dtype="FP32", dims=(1,), meaning="1 where one was sent, else 0"),
        )
    ),
    statistics=tuple(f"{modality}_{name}" for modality in ("ct", "mri") for name in OF_A_PICTURE),
    statistics_meaning=f"{MEANING_OF_A_PICTURE}; NaN where none was sent",
)

FEATURIZE_MOLECULE = Step(
    name="featurize_molecule",
    function="preprocess.molecule:molecules_to_graphs",
    inputs=(_bytes("smiles", "one SMILES string, ASCII"),),
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
    statistics=OF_A_MOLECULE,
    statistics_meaning=MEANING_OF_A_MOLECULE,
)
