"""Why an input is refused: a code for programs, a sentence for people, and nothing of the input itself."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Reason codes. Part of the public contract: never renamed, only added to."""

    EMPTY = "empty"
    TOO_MANY_BYTES = "too_many_bytes"
    BAD_BASE64 = "bad_base64"
    NOT_AN_IMAGE = "not_an_image"
    CORRUPT_IMAGE = "corrupt_image"
    TOO_MANY_PIXELS = "too_many_pixels"
    IMAGE_TOO_SMALL = "image_too_small"
    MULTI_FRAME = "multi_frame"
    UNSUPPORTED_PIXELS = "unsupported_pixels"
    NO_CONTRAST = "no_contrast"
    NO_PIXELS = "no_pixels"
    WRONG_MODALITY = "wrong_modality"
    WRONG_PHOTOMETRIC = "wrong_photometric"
    WRONG_BODY_PART = "wrong_body_part"
    WRONG_VIEW = "wrong_view"
    UNSUPPORTED_TRANSFER_SYNTAX = "unsupported_transfer_syntax"
    NOT_SMILES = "not_smiles"
    INVALID_MOLECULE = "invalid_molecule"
    TOO_MANY_ATOMS = "too_many_atoms"


class Rejected(ValueError):
    """An input that no answer should be given for.

    Args:
        reason: the code.
        sentence: what was expected, what came, what to do next; never content or a name of the input.
        item: its place in the batch.

    `str()` gives "[code] item N: sentence": Triton's errors are text, so the code travels in front.
    """

    def __init__(self, reason: Reason, sentence: str, item: int = 0) -> None:
        super().__init__(reason, sentence, item)
        self.reason, self.sentence, self.item = reason, sentence, item

    def __str__(self) -> str:
        return f"[{self.reason}] item {self.item}: {self.sentence}"

    def at(self, item: int) -> Rejected:
        """The same rejection, of the item at this place in the batch."""
        return Rejected(self.reason, self.sentence, item)


def contradiction(what: str) -> Rejected:
    """A file that says two things, or an impossible one."""
    return Rejected(Reason.CORRUPT_IMAGE, f"expected a sound DICOM image, got {what}. Export it again.")
