"""A gateway that computes nothing: the page's own tests need its contract, not its models.

It speaks the routes that the page asks, with answers like the real ones: nine models, two inputs, a molecule. What goes
wrong is set by a test (`StandIn.fail`), and what came is kept for it to look at (`StandIn.received`).
"""

from __future__ import annotations

import asyncio
import base64
import io
import math
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from PIL import Image
from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response

from gateway.page import mount

FILE = "an image file's bytes (DICOM, PNG, JPEG, TIFF, BMP, WebP), base64 text or data: URI"
NOT_FOR_DIAGNOSIS = "Research software, not a medical device. Not for diagnosis: a qualified person must decide."
STAGED = ("stage", "stage_score", "survival_risk")


def model(name: str, task: str, labels: tuple[str, ...], **more: Any) -> dict[str, Any]:
    """One entry of /model-info."""
    return {
        "name": name,
        "task": task,
        "labels": list(labels),
        "unit": "",
        "inputs": [{"name": "image", "meaning": FILE, "optional": False, "picture": True}],
        "intended_use": "Pictures like those it was made for; research only.",
        "limits": ["What its sources do not say is assumed.", "It was measured on generated pictures only."],
        "disclaimer": NOT_FOR_DIAGNOSIS,
        "trained": True,
        "version": "1",
        "served": True,
        "claim": "97.47 % accuracy",
    } | more


LESIONS = (
    "actinic keratosis", "basal cell carcinoma", "dermatofibroma", "melanoma", "nevus", "pigmented benign keratosis",
    "seborrheic keratosis", "squamous cell carcinoma", "vascular lesion",
)  # fmt: skip
GROWTHS = ("Healthy", "Benign", "Malignant")
MODALITIES = [
    {"name": name, "meaning": f"{FILE}; zero bytes: no {name.upper()}", "optional": True, "picture": True}
    for name in ("ct", "mri")
]
SMILES = [{"name": "smiles", "meaning": "one SMILES string, ASCII", "optional": False, "picture": False}]
MODELS = [
    model("brain_ct", "CT slice of the brain: healthy or tumour", ("Healthy", "Tumor")),
    model("brain_fusion", "CT and MRI slice of one brain, or one of them: healthy, benign or malignant", GROWTHS)
    | {"inputs": MODALITIES},
    model("brain_mri", "MRI slice of the brain: healthy, benign or malignant", GROWTHS),
    model(
        "chest_xray",
        "frontal chest X-ray: normal, pneumonia, COVID-19 or lung opacity",
        ("Normal", "Pneumonia", "COVID-19", "Lung Opacity"),
    ),
    model("pneumonia", "frontal chest X-ray: normal or pneumonia", ("NORMAL", "PNEUMONIA"), trained=False),
    model("pneumonia_cnn", "frontal chest X-ray: normal or pneumonia, with a risk level", ("NORMAL", "PNEUMONIA")),
    model("skin_lesion", "dermoscopic picture of a skin lesion: nine kinds", LESIONS),
    model(
        "skin_lesion_medgemma",
        "dermoscopic picture of a skin lesion: seven kinds",
        ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"),
    ),
    model("solubility", "aqueous solubility of a small molecule at room temperature", (), unit="log mol/L")
    | {"inputs": SMILES, "disclaimer": "A prediction, not a measurement: research use only."},
]


def _set() -> threading.Event:
    found = threading.Event()
    found.set()
    return found


@dataclass
class Failure:
    """What the next predictions are answered with, instead of an answer."""

    status: int
    body: dict[str, Any] | str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class StandIn:
    """The running server.

    Args:
        url: of its page.
        key: without which it says 401; "" for none.
        fail: every prediction.
        answering: the test's leave to answer; cleared, each new question waits for it.
        change: is given each answer before it is sent.
        received: (path with query, part name → (file name, bytes)) of each prediction.
        answered: how many of them were answered.
        models: what /model-info tells.
    """

    url: str = ""
    key: str = ""
    fail: Failure | None = None
    answering: threading.Event = field(default_factory=_set)
    change: dict[str, Any] = field(default_factory=dict)
    received: list[tuple[str, dict[str, tuple[str | None, bytes]]]] = field(default_factory=list)
    answered: int = 0
    models: list[dict[str, Any]] = field(default_factory=lambda: list(MODELS))

    def reset(self) -> None:
        """As it was at first."""
        self.answering.set()  # whoever waits from before
        fresh = StandIn(url=self.url)
        self.__dict__.update(fresh.__dict__)


def problem(status: int, code: str, title: str, detail: str, **headers: str) -> Failure:
    """An RFC 9457 document."""
    told = {"type": f"urn:medserve:{code}", "title": title, "status": status, "detail": detail, "code": code}
    return Failure(status, told, headers)


def application(stand_in: StandIn) -> FastAPI:
    """The page, and the two routes that it asks."""
    app = FastAPI()
    mount(app)

    @app.middleware("http")
    async def keyed(request: Request, call_next: Any) -> Response:
        free = request.url.path == "/" or request.url.path.startswith("/page/")
        if stand_in.key and not free and request.headers.get("Authorization") != f"Bearer {stand_in.key}":
            return sent(problem(401, "no_key", "A key is needed", "Send a key that this server knows."))
        return await call_next(request)

    @app.get("/model-info")
    async def model_info() -> dict[str, Any]:
        return {"models": stand_in.models}

    @app.post("/predict/{name}")
    async def predict(name: str, request: Request) -> Response:
        async with request.form() as form:
            parts = {
                part: (value.filename, await value.read()) if isinstance(value, UploadFile) else (None, value.encode())
                for part, value in form.items()
            }
        answering = stand_in.answering  # before the test knows that the question came, and takes another
        stand_in.received.append((str(request.url).removeprefix(stand_in.url), parts))
        await asyncio.to_thread(answering.wait)
        stand_in.answered += 1
        if stand_in.fail:
            return sent(stand_in.fail)
        described = next(each for each in stand_in.models if each["name"] == name)
        return JSONResponse(
            answer(described, {part: content for part, (_, content) in parts.items()}) | stand_in.change
        )

    return app


def sent(failure: Failure) -> Response:
    if isinstance(failure.body, str):
        return Response(failure.body, failure.status, failure.headers, media_type="text/html")
    return JSONResponse(failure.body, failure.status, failure.headers, media_type="application/problem+json")


def answer(described: dict[str, Any], parts: dict[str, bytes]) -> dict[str, Any]:
    """As a real gateway would put it; the figures are of no network."""
    trained = described["trained"]
    common = {
        "prediction_id": uuid.uuid4().hex,
        "model": described["name"],
        "needs_review": not trained,
        "review_reasons": [] if trained else ["weights: untrained; the answer means nothing"],
        "disclaimer": described["disclaimer"],
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "provenance": {
            "model_version": "1",
            "artefact": "fp32.onnx",
            "artefact_sha256": "9f2c" * 16,
            "precision": "fp32",
            "weights": "trained" if trained else "untrained",
            "checkpoint_sha256": "41ab" * 16 if trained else None,
            "temperature": 1.0,
            "calibrated": False,
            "preprocessing": "3",
        },
        "processing_time": 0.0423,
        "statistics": {"bytes": 48213.0, "brightness": 0.47, "contrast": 0.21, "entropy": 7.2},
    }
    return common | (classified(described, parts) if described["labels"] else regressed(parts))


def classified(described: dict[str, Any], parts: dict[str, bytes]) -> dict[str, Any]:
    labels = described["labels"]
    raw = [math.exp(-1.3 * ((place - 3) % len(labels))) for place in range(len(labels))]
    probabilities = {label: share / sum(raw) for label, share in zip(labels, raw, strict=True)}
    top = max(probabilities, key=lambda label: probabilities[label])
    found: dict[str, Any] = {
        "prediction": top,
        "confidence": probabilities[top],
        "probabilities": probabilities,
        "uncertainty": 0.412,
        "heatmaps": {part: heatmap(40 * place) for place, part in enumerate(parts)},
        "pictures": {part: seen(content) for part, content in parts.items()},
    }
    if "mel" in labels or "melanoma" in labels:
        label = "mel" if "mel" in labels else "melanoma"
        found["alerts"] = [{"label": label, "probability": probabilities[label], "at_least": 0.2}]
        found |= {"needs_review": True, "review_reasons": [f"{label}: probability 0.731 is at or above 0.2"]}
    if described["name"] == "pneumonia_cnn":
        found |= {"risk_level": "HIGH", "needs_review": True}
        found["review_reasons"] = ["risk level HIGH: the answer is likely to be wrong"]
    if labels == list(GROWTHS):
        found |= dict(zip(STAGED, (None, None, None) if top == "Healthy" else ("II", 0.41, 0.287), strict=True))
        found["modalities"] = list(parts)
    return found


def regressed(parts: dict[str, bytes]) -> dict[str, Any]:
    smiles = parts["smiles"].decode()
    return {
        "prediction": -2.134,
        "unit": "log mol/L",
        "log_s": -2.134,
        "interval": [-3.02, -1.25],
        "interval_level": 0.9,
        "unknown_atoms": 0.0,
        "statistics": {"atoms": 13.0, "rings": 1.0},
        "pictures": {"smiles": drawing(smiles)},
    }


def drawing(smiles: str) -> str:
    drawer = rdMolDraw2D.MolDraw2DSVG(420, 300)
    drawer.DrawMolecule(Chem.MolFromSmiles(smiles))
    drawer.FinishDrawing()
    return "data:image/svg+xml;base64," + base64.b64encode(drawer.GetDrawingText().encode()).decode()


def heatmap(shift: int = 0) -> str:
    """7 x 7, strongest at the lower left: row 5, column 1."""
    image = Image.new("L", (7, 7))
    for place in range(49):
        row, column = divmod(place, 7)
        image.putpixel((column, row), max(0, 255 - shift - 48 * (abs(row - 5) + abs(column - 1))))
    return png(image)


def seen(content: bytes) -> str:
    """What a network of 224 x 224 would see; a ramp where Pillow cannot read the file."""
    try:
        image = Image.open(io.BytesIO(content)).convert("RGB").resize((224, 224))
    except (OSError, Image.DecompressionBombError):
        image = Image.linear_gradient("L").resize((224, 224)).convert("RGB")
    return png(image)


def png(image: Image.Image) -> str:
    kept = io.BytesIO()
    image.save(kept, "PNG")
    return "data:image/png;base64," + base64.b64encode(kept.getvalue()).decode()


@contextmanager
def running() -> Iterator[StandIn]:
    """On a free port of the loopback, by a real uvicorn in a thread."""
    stand_in = StandIn()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stand_in.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(application(stand_in), log_level="warning", ws="none", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield stand_in
        finally:
            stand_in.answering.set()
            server.should_exit = True
            thread.join()
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="package")
def server() -> Iterator[StandIn]:
    with running() as started:
        yield started


@pytest.fixture
def stand_in(server: StandIn) -> StandIn:
    """As good as new for each test."""
    server.reset()
    return server
