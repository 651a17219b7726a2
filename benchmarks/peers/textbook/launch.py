"""How Triton's textbook repository is started and asked."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2 as pb

from benchmarks.peers.peer import RAW, ROOT, Command, Peer, as_it_is
from benchmarks.peers.task import HOST, SPEC, Task
from benchmarks.ports import free_ports
from server.installation import environment, find_triton, lay_out_backends


def start(task: Task, folder: Path) -> Command:
    models = folder / "models"
    for name in ("preprocess", "classifier", "ensemble"):
        (models / name / "1").mkdir(parents=True)
        shutil.copy(PEER.folder / f"{name}.pbtxt", models / name / "config.pbtxt")
    (_ours if task.variant == "engine" else _theirs)(task, models)
    triton = find_triton()
    lay_out_backends(triton, folder / "backends")
    grpc, metrics = free_ports(2)
    settings = {
        "model-repository": models,
        "backend-directory": folder / "backends",
        "http-address": HOST,
        "http-port": task.port,
        "grpc-address": HOST,
        "grpc-port": grpc,
        "metrics-address": HOST,
        "metrics-port": metrics,
        "allow-gpu-metrics": "false",
    }
    arguments = (str(triton.server), *(f"--{name}={value}" for name, value in settings.items()))
    return Command(arguments=arguments, variables=environment(triton, folder / "cache", ""))


def _theirs(task: Task, models: Path) -> None:
    shutil.copy(PEER.folder / "preprocess.py", models / "preprocess" / "1" / "model.py")
    file = models / "classifier" / "1" / "model.onnx"
    export = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "benchmarks.peers.textbook.export",
        task.checkpoint,
        str(task.temperature),
    ]
    subprocess.run([*export, str(file)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def _ours(task: Task, models: Path) -> None:
    """Our artefact on our engine behind our preprocessing, as its config says but for default batching."""
    shutil.copy(ROOT / "model_repository" / SPEC.step.name / "1" / "model.py", models / "preprocess" / "1")
    plain = models / "preprocess" / "config.pbtxt"
    plain.write_text(plain.read_text("utf-8").replace("TYPE_FP32", "TYPE_UINT8"), "utf-8")
    config = json_format.ParseDict(dict(task.config), pb.ModelConfig())
    config.name = "classifier"
    config.dynamic_batching.Clear()
    for output in config.output:
        output.label_filename = ""
    (models / "classifier" / "config.pbtxt").write_text(text_format.MessageToString(config), "utf-8")
    artefact = Path(task.artefacts, config.default_model_filename)
    (models / "classifier" / "1" / artefact.name).symlink_to(artefact)


def _parse(answer: bytes) -> list[float]:
    """The last tensor of a binary answer, the only one."""
    return list(struct.unpack(f"<{len(SPEC.labels)}f", answer[-4 * len(SPEC.labels) :]))


PEER = Peer(
    name="textbook",
    version="Triton 2.51.0 (nvidia-pytriton 0.7.0)",
    start=start,
    path="/v2/models/ensemble/infer",
    headers={**RAW, "Inference-Header-Content-Length": "0"},
    body=as_it_is,
    parse=_parse,
    service=("preprocess.py", "preprocess.pbtxt", "classifier.pbtxt", "ensemble.pbtxt", "export.py"),
    settings=(
        "a python model that decodes and normalises, an ONNX model, an ensemble: "
        "triton-inference-server/python_backend, examples/preprocessing",
        "dynamic_batching {} and nothing else: triton-inference-server/server, docs/user_guide/optimization.md",
        "max_batch_size 8; no counts: Triton's own defaults on a CPU, 1 instance of preprocessing and 2 of onnxruntime "
        "(measured; the engine variant keeps its config's 1)",
        "onnxruntime is MedServe's python backend of that name, the wheel having none of its own; all cores",
    ),
    own_environment=False,
)
