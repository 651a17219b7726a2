"""Networks on the engine that profile `cuda` serves them with: their answers, and their rate."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from google.protobuf import json_format

from benchmarks.gpu.report import Parity, Rate
from export.artefact import ARTEFACT, folder_of
from export.engines import Ran, answered, run
from export.models import all_specs
from export.parity import compare
from export.pictures import Folder, gather
from export.spec import ModelSpec
from report.answer import CUDA_PROFILE
from report.card import FILENAME, Card
from server.backends.onnxruntime.engine import open_engine
from server.backends.onnxruntime.lanes import Engine
from server.backends.onnxruntime.options import from_config
from server.repository import Repository

WARM = 3  # runs that are not counted


@dataclass(frozen=True, slots=True)
class Network:
    """An exported network of a repository.

    Args:
        spec: its declaration.
        folder: of its files and its manifest.
        card: the manifest.
        profile: that it is run with: "cuda", or "" for the CPU in its place.
    """

    spec: ModelSpec
    folder: Path
    card: Card
    profile: str

    def files(self) -> list[Path]:
        """Return the artifacts that are here, the exact one first: not every listed one has to be carried."""
        found = [file for file in sorted(self.folder.glob("*.onnx")) if file.name in self.card.artefacts]
        return sorted(found, key=lambda file: self.card.artefacts[file.name].precision != "fp32")

    def open(self, file: Path) -> Engine:
        """Return the engine of this file, with the options of the profile's config.

        Raises:
            server.backends.onnxruntime.options.ConfigError: it is not here, or cannot load the file.
        """
        config = Repository.read(self.folder.parent.parent, self.profile).configs[self.spec.net]
        config.default_model_filename = file.name
        options = from_config(json_format.MessageToDict(config, preserving_proto_field_name=True), self.folder)
        return open_engine(replace(options, file=file))

    def served(self) -> str:
        """Return the name of the file that the server runs: see `server.choices.as_published`."""
        half = [name for name, each in self.card.artefacts.items() if each.precision == "fp16"]
        return half[0] if half and self.profile == CUDA_PROFILE else ARTEFACT


def networks(repository: Path, profile: str, names: Sequence[str] = ()) -> Iterator[Network]:
    """Yield the exported networks that take one image each.

    Args:
        repository: with the files.
        profile: see Network.
        names: of models; none: all.
    """
    for name, spec in all_specs().items():
        folder = folder_of(spec, repository)
        if len(spec.explained) == 1 and (not names or name in names) and (folder / FILENAME).is_file():
            yield Network(spec, folder, Card.read(folder / FILENAME), profile)


def parity(network: Network, images: Path | None) -> Iterator[Parity]:
    """Judge each file's answers on the engine by the gate's own bounds.

    The exact file on the CPU is the reference where it is here, else each file is its own. The few images that fit on
    the way to a GPU do not show each critical class: that was counted when the file was published.

    Args:
        network: see Network.
        images: folder; None: generated ones.
    """
    held = replace(network.spec, gate=replace(network.spec.gate, critical=()))
    items, _ = gather(network.spec, Folder(images, {}) if images else None)
    proved = {}
    first = network.files()[0]
    for file in network.files():
        artefact = network.card.artefacts[file.name]
        basis = first if network.card.artefacts[first.name].precision == "fp32" else file
        if basis not in proved:
            proved[basis] = run(network.spec, basis, "onnxruntime", artefact.precision, items.inputs).answers
        answers = answered(network.spec, network.open(file), items.inputs, f"the engine does not run {file.name}")
        ran = Ran(engine=network.profile or "cpu", precision=artefact.precision, answers=answers)
        expected = {output.name: proved[basis][output.name] for output in network.spec.outputs}  # no fingerprint
        found = compare(held, expected, ran, items, artefact.fingerprint)
        yield Parity(
            model=network.spec.name,
            file=file.name,
            precision=artefact.precision,
            against=basis.name,
            items=len(items),
            largest=found.max_error.get(network.spec.outputs[0].name, float("inf")),
            flips=found.label_flips,
            ties=found.ties,
            lost_reviews=found.lost_reviews,
            refused=list(found.refused),
        )


def rates(network: Network, batches: Sequence[int], seconds: float) -> Iterator[Rate]:
    """Measure each file with inputs in the host's memory, as the server has them.

    Args:
        network: see Network.
        batches: sizes to measure.
        seconds: of each measurement.
    """
    (tensor,) = network.spec.step.outputs
    for file in network.files():
        engine = network.open(file)
        for batch in batches:
            array = np.random.default_rng(0).integers(0, 256, (batch, *tensor.dims), np.uint8)
            outputs = [output.name for output in network.spec.outputs] + [network.spec.summary.name]
            for _ in range(WARM):
                engine.run({tensor.name: array}, outputs)
            began, runs = time.perf_counter(), 0
            while (took := time.perf_counter() - began) < seconds or not runs:
                engine.run({tensor.name: array}, outputs)
                runs += 1
            yield Rate(model=network.spec.name, file=file.name, batch=batch, per_s=batch * runs / took)
