# mypy: ignore-errors
"""The same as most people write it: an async def that computes, one request after another."""

from typing import Annotated

from fastapi import FastAPI, File, UploadFile

from benchmarks.peers.work import open_work

app = FastAPI()
work = open_work()


@app.post("/predict")
async def predict(file: Annotated[UploadFile, File()]) -> list[float]:
    return work.predict([work.prepare(await file.read())])[0]
