"""Which configs a launch serves where nobody says: plans that fit the GPU, else CUDA, else this CPU's own choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from report.answer import CPU_PROFILE, CUDA_PROFILE, TENSORRT_PROFILE
from server.installation import Installation
from server.machine import Machine
from server.repository import Repository

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Profile:
    """One that was chosen.

    Args:
        name: as Repository.read takes it.
        why: a phrase.
    """

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name or 'config.pbtxt of each model'}: {self.why}"


def profile(asked: str, plain: Repository, needed: Sequence[str], machine: Machine, triton: Installation) -> Profile:
    """What is asked for, or with "auto" what this machine can serve fastest.

    Args:
        asked: PROFILE.
        plain: the repository, read without a profile.
        needed: every model to load.
        machine: to serve on.
        triton: that is installed.
    """
    if asked != AUTO:
        return Profile(asked, "as PROFILE says")
    if not machine.gpu:
        return Profile(CPU_PROFILE, "there is no GPU")
    if not triton.gpus:
        return Profile(CPU_PROFILE, "onnxruntime-gpu is not installed; `make cuda` installs it")
    if not triton.image:
        return Profile(CUDA_PROFILE, "the wheel's Triton runs networks on CUDA; for plans use NVIDIA's image")
    planned = Repository.read(plain.folder, TENSORRT_PROFILE)
    if lacking := planned.without_artefact(needed, machine.gpu):
        return Profile(
            CUDA_PROFILE,
            f"no plan for compute capability {machine.gpu} of {', '.join(lacking)}; `python -m export engines` "
            "builds them on this GPU",
        )
    return Profile(TENSORRT_PROFILE, f"every network has a plan for compute capability {machine.gpu}")
