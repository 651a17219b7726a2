"""Whether the profile that is to be served was chosen for a machine like this one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tritonclient.grpc import model_config_pb2 as pb

from report.answer import CPU_PROFILE
from report.card import Card
from server.preflight import PreflightError
from server.repository import Repository

_ON_CPU = ("", "onnxruntime", "python")  # backends; "": an ensemble


def check_servable(repository: Repository, names: Iterable[str], gpu: str, *, gpus: bool) -> None:
    """Raises PreflightError: a network that this server or this machine cannot run.

    Args:
        repository: read with the profile that is served.
        names: the models to load.
        gpu: see Machine.
        gpus: whether the installed Triton can use one.
    """
    for name in names:
        if not (on_gpu(repository.configs[name]) or repository.configs[name].backend not in _ON_CPU):
            continue
        said = f"{name}: expected a network that runs on a CPU, got one for GPUs (profile {repository.profile})"
        if not gpus:
            raise PreflightError(
                f"{said}, and the wheel's Triton uses none. Serve PROFILE={CPU_PROFILE}, or start NVIDIA's image."
            )
        if not gpu:
            raise PreflightError(f"{said}, and this machine shows no GPU. Serve PROFILE={CPU_PROFILE}, or give it one.")


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
