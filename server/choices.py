"""Whether the profile that is to be served was chosen for a machine like this one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tritonclient.grpc import model_config_pb2 as pb

from report.answer import CPU_PROFILE, CUDA_PROFILE, TENSORRT_PROFILE
from report.card import FILENAME, Card
from server.installation import Installation
from server.preflight import PreflightError
from server.repository import Repository

_ON_CPU = ("", "onnxruntime", "python")  # backends; "": an ensemble


def check_profile(profile: str, gpu: str, triton: Installation) -> None:
    """Raises PreflightError: a profile for GPUs that this machine or this server cannot run.

    Args:
        profile: as requested.
        gpu: see Machine.
        triton: that is installed.
    """
    if profile not in (CUDA_PROFILE, TENSORRT_PROFILE):
        return
    where = f"PROFILE={profile}"
    if not gpu:
        raise PreflightError(
            f"{where}: expected an NVIDIA GPU whose driver answers (libcuda.so.1, cuInit), found none. Serve "
            f"PROFILE={CPU_PROFILE}, or check `nvidia-smi`."
        )
    if not triton.image and profile == TENSORRT_PROFILE:
        raise PreflightError(
            f"{where}: expected NVIDIA's image, whose Triton loads plans, got the wheel's, which loads none. Serve "
            f"PROFILE={CUDA_PROFILE}, or start the image."
        )
    if not triton.gpus:
        expected = (
            "an image with Triton's onnxruntime and tensorrt backends, found neither. Use NVIDIA's -py3 image"
            if triton.image
            else "the package onnxruntime-gpu, got onnxruntime for CPUs. Install it with `make cuda`"
        )
        raise PreflightError(f"{where}: expected {expected}, or serve PROFILE={CPU_PROFILE}.")


def check_servable(repository: Repository, names: Iterable[str], gpu: str, triton: Installation) -> None:
    """Raises PreflightError: a network that this server or this machine cannot run.

    Args:
        repository: read with the profile that is served.
        names: the models to load.
        gpu: see Machine.
        triton: that is installed.
    """
    for name in names:
        config = repository.configs[name]
        if not (on_gpu(config) or config.backend not in _ON_CPU):
            continue
        said = f"{name}: expected a network that runs on a CPU, got one for GPUs (profile {repository.profile})"
        if not triton.gpus or (config.backend not in _ON_CPU and not triton.image):
            raise PreflightError(
                f"{said}, and the wheel's Triton cannot run it. Serve PROFILE={CPU_PROFILE}, or start NVIDIA's image."
            )
        if not gpu:
            raise PreflightError(f"{said}, and this machine shows no GPU. Serve PROFILE={CPU_PROFILE}, or give it one.")


def as_published(repository: Repository, gpu: str) -> Repository:
    """Return the repository with configs that the published files can serve: the committed ones know no files.

    With profile `tensorrt`, a network without a plan for this GPU is served on CUDA. On CUDA a network is served in
    FP16 where every version has it, else in exact FP32, which every model has.

    Args:
        repository: read with the profile that is served.
        gpu: see Machine.

    Raises:
        report.card.CardError: a network without a sound manifest.
    """
    if repository.profile not in (CUDA_PROFILE, TENSORRT_PROFILE):
        return repository
    exported = list(filter(repository.is_exported, repository.configs))
    moved = exported if repository.profile == CUDA_PROFILE else repository.without_artefact(exported, gpu)
    on_cuda = Repository.read(repository.folder, CUDA_PROFILE).configs
    configs = dict(repository.configs)
    for name in moved:
        configs[name] = pb.ModelConfig()
        configs[name].CopyFrom(on_cuda[name])
        manifests = [Card.read(file) for file in (repository.folder / name).glob(f"[0-9]*/{FILENAME}")]
        half = {file for card in manifests for file, each in card.artefacts.items() if each.precision == "fp16"}
        for file in half:
            if all(file in card.artefacts for card in manifests):
                configs[name].default_model_filename = file
    return replace(repository, configs=configs)


def runtimes(repository: Repository, names: Iterable[str], gpu: str) -> Iterator[tuple[str, str, str]]:
    """Yield (network, file, what runs it) of every network that these models call and that is exported.

    Args:
        repository: with the configs that are served.
        names: of models.
        gpu: see Machine.
    """
    exported = [name for name in repository.closure(list(names)) if repository.is_exported(name)]
    for name, file in repository.artefacts(exported, gpu):
        yield name, file.name, runtime(repository.configs[name])


def runtime(config: pb.ModelConfig) -> str:
    """Return what runs a network of this config, as reports and metrics call it."""
    if config.backend == TENSORRT_PROFILE:
        return "TensorRT"
    if on_gpu(config):
        return "onnxruntime CUDA"
    accelerated = config.optimization.execution_accelerators.cpu_execution_accelerator
    return "OpenVINO CPU" if accelerated else "onnxruntime CPU"


def on_gpu(config: pb.ModelConfig) -> bool:
    """Whether a config asks for a GPU."""
    return any(group.kind == pb.ModelInstanceGroup.KIND_GPU for group in config.instance_group)


def check_choices(cards: Iterable[Card], repository: Repository, cpu: Sequence[str]) -> None:
    """Raises PreflightError: a network tuned for another CPU: there it may compute something else, or slowly.

    Args:
        cards: of the models that are served.
        repository: read with the profile that is served.
        cpu: this machine's features.
    """
    if repository.profile != CPU_PROFILE:
        return
    for card in cards:
        _check_chosen(card, repository)
        if card.choice is not None and card.choice.cpu != tuple(cpu):
            raise PreflightError(
                f"{card.model}: expected the CPU it was tuned for ({', '.join(card.choice.cpu) or 'unknown'}), this "
                f"one has {', '.join(cpu) or 'none of those'}. Run `python -m export tune {card.model}`, or serve "
                "PROFILE= (FP32, slower, the same everywhere)."
            )


def _check_chosen(card: Card, repository: Repository) -> None:
    """Raises PreflightError: the profile serves something else than the card says: a choice that was cut short."""
    config = repository.configs.get(f"{card.model}_net")
    if config is None:
        return
    accelerators = config.optimization.execution_accelerators.cpu_execution_accelerator
    served = (config.default_model_filename, "openvino" if accelerators else "onnxruntime")
    expected = (card.choice.artefact, card.choice.engine) if card.choice else ("fp32.onnx", "onnxruntime")
    if served != expected:
        raise PreflightError(
            f"{card.model}: expected configs/{CPU_PROFILE}.pbtxt to serve {' on '.join(expected)}, as its card says, "
            f"got {' on '.join(served)}. Run `python -m export tune {card.model}`."
        )
