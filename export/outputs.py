"""The outputs that models share, described once."""

from __future__ import annotations

from export.spec import Tensor

NOT_FOR_DIAGNOSIS = "Research software, not a medical device. Not for diagnosis: a qualified person must decide."


def classifier_outputs(classes: int, heatmap: tuple[int, int]) -> tuple[Tensor, ...]:
    """What every image classifier answers.

    Args:
        classes: C, the number of labels.
        heatmap: (h, w) of the last feature map.
    """
    return (
        Tensor(
            name="probabilities",
            dtype="FP32",
            dims=(classes,),
            meaning="softmax after temperature, in the order of the labels; sums to 1",
        ),
        Tensor(
            name="uncertainty",
            dtype="FP32",
            dims=(1,),
            meaning="entropy of the probabilities / log(classes): 0 sure, 1 uniform",
        ),
        Tensor(
            name="heatmap",
            dtype="FP32",
            dims=heatmap,
            meaning="Grad-CAM of the predicted class, 0..1, on the grid of the last feature map",
        ),
    )
