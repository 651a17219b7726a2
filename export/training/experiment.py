"""One split: an ensemble trained on its first part, its interval fitted on the second, judged on the third."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from export.nets.gcn import SolubilityEnsemble
from export.training.esol import Molecule, targets
from export.training.evaluate import errors, interval_figures, single_models
from export.training.interval import fit
from export.training.splits import Split
from export.training.train import Recipe, predictions, train


@dataclass(frozen=True, slots=True)
class Outcome:
    """The ensemble with its interval, and its figures."""

    ensemble: SolubilityEnsemble
    figures: dict[str, Any]


def run(
    molecules: Sequence[Molecule], split: Split, recipe: Recipe, seeds: Sequence[int], say: Callable[[str], None]
) -> Outcome:
    """Train one member for each seed. The test part is asked once, after everything is settled.

    Args:
        molecules: the table's rows, which `split` numbers.
        split: the three parts.
        recipe: how each member is trained.
        seeds: one for each member.
        say: told of each member that is done.
    """
    learnt, validated, tested = (
        [molecules[row] for row in part] for part in (split.train, split.validation, split.test)
    )
    members = []
    for place, seed in enumerate(seeds, start=1):
        members.append(train(learnt, recipe, seed))
        rmse = errors(predictions(members[-1:], validated)[0], targets(validated))["rmse"]
        say(f"member {place} of {len(seeds)}: validation RMSE {rmse:.3f}")

    validation = predictions(members, validated)
    interval = fit(validation, targets(validated))
    test = predictions(members, tested)
    ensemble = SolubilityEnsemble(len(members), recipe.pool)
    for slot, member in zip(ensemble.members, members, strict=True):
        slot.load_state_dict(member.state_dict())
    ensemble.half_width.copy_(torch.tensor([interval.a, interval.b]))
    figures = {
        "sizes": split.sizes(),
        "half_width": asdict(interval),
        "validation": {
            "ensemble": errors(validation.mean(0), targets(validated)),
            "single": single_models(validation, targets(validated)),
        },
        "test": {
            "ensemble": errors(test.mean(0), targets(tested)),
            "single": single_models(test, targets(tested)),
            "interval": interval_figures(test, targets(tested), interval),
        },
    }
    return Outcome(ensemble.eval(), figures)
