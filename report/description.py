"""The server's self-description: what a client needs to know of the models, and where they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from report.card import Card


class UnknownModel(LookupError):
    """No card of a model of that name."""


def describe(cards: Sequence[Card], model: str, preprocessing: Mapping[str, str] | None = None) -> str:
    """One JSON object: model name → its declaration, weights, calibration and artefacts.

    Args:
        cards: of the models that are served.
        model: a name; empty for all of them.
        preprocessing: what decides the numbers of a first step: name → version.

    Raises:
        UnknownModel: no such model; the message lists those that are there, and does not repeat the name.
    """
    found = [card for card in cards if model in ("", card.model)]
    if not found:
        raise UnknownModel(f"expected nothing or one of {', '.join(card.model for card in cards)}, got another name")
    told = {card.model: _described(card) | {"preprocessing": dict(preprocessing or {})} for card in found}
    return json.dumps(told, ensure_ascii=False)


def _described(card: Card) -> dict[str, Any]:
    whole: dict[str, Any] = msgspec.to_builtins(card)
    declaration = whole.pop("declaration")
    del whole["schema"], whole["recipe"], whole["model"]
    # One digest for each picture is for the exporter alone.
    for artefact in whole["artefacts"].values():
        del artefact["fingerprint"]
    for made in (*whole["artefacts"].values(), *whole["refused"].values()):
        if made["quantised"]:
            count_pictures(made["quantised"]["calibrated"])
    count_pictures(whole["compared"])
    if fit := whole["calibration"]["fit"]:
        del fit["sha256"]
    return declaration | whole


def count_pictures(pictures: dict[str, Any]) -> None:
    """Leave of a PictureSet, as plain JSON, how many there are: digests are for the exporter alone."""
    pictures["pictures"] = len(pictures.pop("sha256"))
    del pictures["labels"]
