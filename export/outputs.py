"""The outputs that models share, described once."""

from __future__ import annotations

from export.spec import Tensor

NOT_FOR_DIAGNOSIS = "Research software, not a medical device. Not for diagnosis: a qualified person must decide."
UNCERTAIN_PARTS = ("aleatoric", "epistemic")


def classifier_outputs(
    classes: int, heatmap: tuple[int, int], *, pictures: tuple[str, ...] = (), mc_dropout: bool = False
) -> tuple[Tensor, ...]:
    """What an image classifier answers.

    Args:
        classes: C, the number of labels.
        heatmap: (h, w) of the last feature map.
        pictures: names of the pictures, each with a heat map, where there are several.
        mc_dropout: the network has dropout, which is sampled.
    """
    return (
        Tensor(
            name="probabilities",
            dtype="FP32",
            dims=(classes,),
            meaning="softmax after temperature, in the order of the labels; sums to 1",
        ),
        _figure("uncertainty", "entropy of the probabilities / log(classes): 0 sure, 1 uniform"),
        *(
            Tensor(
                name=f"heatmap_{picture}" if picture else "heatmap",
                dtype="FP32",
                dims=heatmap,
                meaning="Grad-CAM of the predicted class, 0..1, on the grid of the last feature map"
                + (f"; zero where no {picture} was sent" if picture else ""),
            )
            for picture in pictures or ("",)
        ),
        *(_mc_outputs(classes) if mc_dropout else ()),
    )


def staging_outputs() -> tuple[Tensor, ...]:
    """What the brain tumour networks answer besides the class."""
    return (
        _figure("stage", "tumour stage as a score, 0..1 (sigmoid); means nothing without a tumour"),
        _figure("survival_risk", "0..1 (sigmoid), higher is worse; means nothing without a tumour"),
    )


def _mc_outputs(classes: int) -> tuple[Tensor, ...]:
    return (
        Tensor(
            name="mc_probabilities",
            dtype="FP32",
            dims=(classes,),
            meaning="mean of the probabilities under seeded dropout masks (MC dropout); sums to 1",
        ),
        Tensor(
            name="mc_variance",
            dtype="FP32",
            dims=(classes,),
            meaning="variance of the probabilities under those masks",
        ),
        _figure("aleatoric", "mean entropy under the masks / log(classes): doubt that lies in the picture"),
        _figure(
            "epistemic",
            "entropy of mc_probabilities / log(classes) - aleatoric: doubt that more training would lessen",
        ),
    )


def _figure(name: str, meaning: str) -> Tensor:
    return Tensor(name=name, dtype="FP32", dims=(1,), meaning=meaning)
