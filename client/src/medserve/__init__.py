"""Client of a MedServe deployment: one call for every model, over gRPC or HTTP, in threads or in asyncio.

from pathlib import Path
from medserve import Client

with Client("grpc://localhost:8001") as triton:
    answer = triton.predict("chest_xray", image=Path("film.png"))
    print(answer.prediction, answer.confidence, answer.needs_review)
"""

from medserve.address import TLS
from medserve.aio import AsyncClient
from medserve.batch import Outcome
from medserve.client import Client
from medserve.description import Description, Health, Input
from medserve.errors import (
    BrokenAnswer,
    ClientClosed,
    InvalidInput,
    MedServeError,
    NotAllowed,
    Overloaded,
    ServerFault,
    TimedOut,
    Unavailable,
    UnknownModel,
)
from medserve.prediction import Prediction, Provenance
from medserve.retry import Retry

__all__ = [
    "TLS",
    "AsyncClient",
    "BrokenAnswer",
    "Client",
    "ClientClosed",
    "Description",
    "Health",
    "Input",
    "InvalidInput",
    "MedServeError",
    "NotAllowed",
    "Outcome",
    "Overloaded",
    "Prediction",
    "Provenance",
    "Retry",
    "ServerFault",
    "TimedOut",
    "Unavailable",
    "UnknownModel",
]
