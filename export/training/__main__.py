"""python -m export.training --csv FILE --out FOLDER: trains the solubility ensemble and writes what is shipped.

The same table, tools, processor and single thread give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from export.training.esol import SMILES, TARGET, Table, read
from export.training.experiment import Outcome, run
from export.training.publish import FIGURES, WEIGHTS, figures_of, write
from export.training.splits import at_random, by_scaffold, groups
from export.training.train import Recipe

RANDOM_SPLITS = 5  # by the seeds 0, 1, …; the ensemble of the first is shipped


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 after a message on stderr."""
    options = _parser().parse_args(arguments)
    try:
        table = read(options.csv, smiles=options.smiles_column, target=options.target_column, skip=options.skip)
        options.out.mkdir(parents=True, exist_ok=True)
        _reproducible()
        recipe = replace(Recipe(), epochs=options.epochs)
        outcomes = _outcomes(table, recipe, range(options.members))
        figures = figures_of(options.csv, table, recipe, outcomes, members=options.members)
        write(options.out, outcomes[0].ensemble, figures)
    except (ValueError, OSError) as exc:  # ours are ValueErrors with a whole sentence
        print(f"training: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # nothing is written before the end
        print("training: interrupted, nothing written", file=sys.stderr)
        return 130
    _say(f"wrote {options.out / WEIGHTS} and {options.out / FIGURES}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m export.training", description=__doc__)
    parser.add_argument("--csv", type=Path, required=True, help="table with a header line, such as ESOL's")
    parser.add_argument("--out", type=Path, required=True, help=f"folder for {WEIGHTS} and {FIGURES}")
    parser.add_argument("--smiles-column", default=SMILES)
    parser.add_argument("--target-column", default=TARGET, help="measured log10 of mol/L")
    parser.add_argument("--skip-unreadable", dest="skip", action="store_true", help="leave such rows out, and count")
    parser.add_argument("--epochs", type=_positive, default=Recipe().epochs)
    parser.add_argument("--members", type=_positive, default=5, help="networks in the ensemble")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {number}")
    return number


def _reproducible() -> None:
    """Sums of floats depend on their order, and the order on the threads."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def _outcomes(table: Table, recipe: Recipe, seeds: Sequence[int]) -> list[Outcome]:
    """Of the random splits in the order of their seeds, then of the split by scaffold."""
    _say(f"{len(table.molecules)} molecules, {len(table.skipped)} rows left out")
    together = groups(table.molecules)
    splits = [(f"random split {seed}", at_random(together, seed)) for seed in range(RANDOM_SPLITS)]
    splits.append(("scaffold split", by_scaffold(table.molecules, together)))
    outcomes = []
    for name, split in splits:
        outcomes.append(run(table.molecules, split, recipe, seeds, partial(_say, about=f"{name}: ")))
        test = outcomes[-1].figures["test"]
        _say(f"{name}: test RMSE {test['ensemble']['rmse']:.3f}, coverage {test['interval']['coverage']:.3f}")
    return outcomes


def _say(text: str, about: str = "") -> None:
    print(about + text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
