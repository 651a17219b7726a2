# mypy: ignore-errors
"""The tutorials' preprocessing model: Pillow and numpy, a normalised FP32 tensor out."""

import io

import numpy as np
import triton_python_backend_utils as pb_utils
from PIL import Image

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


class TritonPythonModel:
    def execute(self, requests: list) -> list:
        responses = []
        for request in requests:
            files = pb_utils.get_input_tensor_by_name(request, "image").as_numpy().ravel()
            pixels = pb_utils.Tensor("pixels", np.stack([self._normalised(file) for file in files]))
            responses.append(pb_utils.InferenceResponse(output_tensors=[pixels]))
        return responses

    def _normalised(self, file: bytes) -> np.ndarray:
        image = Image.open(io.BytesIO(file)).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
        return ((np.asarray(image, np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)
