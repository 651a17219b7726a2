# mypy: ignore-errors
"""MLServer: a custom runtime that gets merged requests."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers.work import open_work


class Runtime(MLModel):
    async def load(self) -> bool:
        self._work = open_work()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        files = self.decode(payload.inputs[0], default_codec=Base64Codec)
        probabilities = self._work.predict([self._work.prepare(file) for file in files])
        output = NumpyCodec.encode_output("probabilities", np.asarray(probabilities, np.float32))
        return InferenceResponse(model_name=self.name, outputs=[output])
