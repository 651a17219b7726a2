"""The model repository as the server reads it: which models a caller means, and what they need."""

from __future__ import annotations

import compileall
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from report.answer import CPU_PROFILE

CONFIG, PROFILES = "config.pbtxt", "configs"
DESCRIBE = "describe"
NETWORKS = ("onnxruntime", "tensorrt")  # backends
ON_REQUEST = "on_request"  # parameter of an ensemble that is too large to be served unless it is asked for


class RepositoryError(ValueError):
    """A repository that cannot be served as it is."""


@dataclass(frozen=True, slots=True)
class Repository:
    """Parsed configs by model name."""

    folder: Path
    configs: dict[str, pb.ModelConfig]
    profile: str

    @classmethod
    def read(cls, folder: Path, profile: str = "") -> Repository:
        """Each model's configs/<profile>.pbtxt where it has one, else its config.pbtxt: as Triton itself chooses.

        Raises:
            RepositoryError: an empty folder, a profile that no model has, or a config that is not Triton's.
        """
        configs = {}
        known = {CPU_PROFILE} | {file.stem for file in folder.glob(f"*/{PROFILES}/*.pbtxt")}
        if profile and profile not in known:
            raise RepositoryError(f"PROFILE: expected one of {', '.join(sorted(known))}, got {profile}")
        for plain in sorted(folder.glob(f"*/{CONFIG}")):
            own = plain.parent / PROFILES / f"{profile}.pbtxt"
            file = own if profile and own.is_file() else plain
            try:
                configs[plain.parent.name] = text_format.Parse(file.read_text("utf-8"), pb.ModelConfig())
            except text_format.ParseError as exc:
                raise RepositoryError(f"{file}: {exc}") from exc
        if not configs:
            raise RepositoryError(f"{folder}: expected models with a {CONFIG}, found none")
        return cls(folder, configs, profile)

    def callable_models(self) -> list[str]:
        """The ensembles: what users call."""
        return [name for name, config in self.configs.items() if config.platform == "ensemble"]

    def chosen(self, names: Sequence[str]) -> list[str]:
        """`names`; ["all"]: every ensemble; none: every ensemble that is not served on request alone.

        Raises:
            RepositoryError: a name that is no model here; the message lists the valid ones.
        """
        valid = self.callable_models()
        if list(names) == ["all"]:
            return valid
        if unknown := [name for name in names if name not in valid]:
            raise RepositoryError(f"MODELS: expected some of {', '.join(valid)}; got {', '.join(unknown)}")
        return list(names) or [name for name in valid if ON_REQUEST not in self.configs[name].parameters]

    def closure(self, names: Sequence[str]) -> list[str]:
        """`names`, every model that their ensembles call, and the self-description, each once."""
        found: dict[str, None] = {}
        waiting = [*names, *([DESCRIBE] if DESCRIBE in self.configs else [])]
        while waiting:
            name = waiting.pop(0)
            if name in found:
                continue
            if name not in self.configs:
                raise RepositoryError(f"{self.folder}: expected the model {name}, found none. Run `make export`.")
            found[name] = None
            waiting += [step.model_name for step in self.configs[name].ensemble_scheduling.step]
        return list(found)

    def available(self, names: Sequence[str], unpublished: Collection[str]) -> list[str]:
        """What can be loaded now of `names` and all that they call.

        Args:
            names: of ensembles.
            unpublished: those of them whose networks have no files yet. Their preprocessing steps have.
        """
        now = set(self.closure([name for name in names if name not in unpublished]))
        return [
            name for name in self.closure(names) if name in now or not (name in unpublished or self.is_network(name))
        ]

    def is_network(self, name: str) -> bool:
        """Whether it runs an artefact, and is no step in python and no ensemble."""
        return self.configs[name].backend in NETWORKS

    def artefacts(self, names: Sequence[str], gpu: str = "") -> Iterator[tuple[str, Path]]:
        """(model, file) of every artefact that these models load, in every version that is there.

        Args:
            names: of models.
            gpu: compute capability of the GPU that loads them: Triton looks up a file by it, where a config says so.

        Raises:
            RepositoryError: a network that was never exported.
        """
        for name in filter(self.is_network, names):
            config = self.configs[name]
            versions = sorted(path for path in (self.folder / name).glob("[0-9]*") if path.is_dir())
            if not versions:
                raise RepositoryError(f"{name}: not exported. Run `make export MODELS={name.removesuffix('_net')}`.")
            file = config.cc_model_filenames.get(gpu, config.default_model_filename or "model.onnx")
            for version in versions:
                yield name, version / file

    def without_artefact(self, names: Sequence[str], gpu: str) -> list[str]:
        """Return the networks among `names` in which some version lacks the file that this profile loads.

        Args:
            names: of models.
            gpu: compute capability of the GPU that loads them.

        Raises:
            RepositoryError: a network that was never exported.
        """
        return [name for name in names if not all(file.is_file() for _, file in self.artefacts([name], gpu))]

    def is_exported(self, name: str) -> bool:
        """Whether it is a network with a version, of whatever precision."""
        return self.is_network(name) and any(path.is_dir() for path in (self.folder / name).glob("[0-9]*"))

    def workers(self, names: Sequence[str]) -> int:
        """Worker processes of these models: one for each instance of a model that is no ensemble."""
        groups = (self.configs[name].instance_group for name in names if not self.configs[name].platform)
        return sum(sum(group.count for group in found) or 1 for found in groups)


def lay_out_models(repository: Repository, names: Sequence[str], view: Path) -> None:
    """A folder that holds just these models, for Triton loads everything that it finds: their configs as they are
    served here, and links to all else."""
    for name in names:
        model = view / name
        model.mkdir(parents=True)
        (model / CONFIG).write_text(text_format.MessageToString(repository.configs[name], as_utf8=True), "utf-8")
        for entry in (repository.folder / name).resolve().iterdir():
            if entry.name not in (CONFIG, PROFILES):
                (model / entry.name).symlink_to(entry)


def compile_steps(view: Path) -> None:
    """Write the bytecode of python models that their workers would write, where they could.

    Triton compares the times of a model's files whenever it loads an ensemble that calls the model, and starts the
    workers of a changed one again: bytecode that a worker writes after it was loaded is such a change (measured).
    """
    for file in view.glob("*/[0-9]*/model.py"):
        compileall.compile_file(file.resolve(), quiet=2)
