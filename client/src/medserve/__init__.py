"""Client of a MedServe deployment: one call for every model, over gRPC or HTTP.

from pathlib import Path
from medserve import Client

with Client("grpc://localhost:8001") as triton:
    answer = triton.predict("chest_xray", image=Path("film.png"))
    print(answer.prediction, answer.confidence, answer.needs_review)
"""

from medserve.client import Client
from medserve.errors import InvalidInput, MedServeError, ServerFault, TimedOut, Unavailable, UnknownModel
from medserve.prediction import Prediction

__all__ = [
    "Client",
    "InvalidInput",
    "MedServeError",
    "Prediction",
    "ServerFault",
    "TimedOut",
    "Unavailable",
    "UnknownModel",
]
