# mypy: ignore-errors
"""The source projects' service: one picture a request, computed in the endpoint."""

from typing import Annotated

from fastapi import FastAPI, File, UploadFile

from benchmarks.peers.work import open_work

app = FastAPI()
work = open_work()


# A plain def: it blocks (fastapi.tiangolo.com/async). FastAPI runs it in its pool of threads.
@app.post("/predict")
def predict(file: Annotated[UploadFile, File()]) -> list[float]:
    return work.predict([work.prepare(file.file.read())])[0]
