"""Lists of challenging structures and blocks for a card: those on which a reference baseline has its largest errors.

The baseline is trained with a seed of its own, by steps rather than by time, so that anyone can make the lists again;
its run lies outside the folders that the leaderboard reads and enters no board.
"""

from __future__ import annotations

from pathlib import Path

from slembench.core.errors import DataError
from slembench.core.files import write_text
from slembench.data import Card, Dataset, load_dataset
from slembench.data.card import CARD_FILE, Challenging, write_card
from slembench.data.readme import dataset_readme
from slembench.harness.recipe import RunConfig
from slembench.harness.run import open_run
from slembench.metrics.challenging import challenging_block, challenging_samples
from slembench.results.record import BLOCKS_FILE, PER_STRUCTURE_FILE, read_table

BASELINE, VARIANT = "deeph-e3", "mini"
SEED = 1000
"""Seed of the baseline's training, which no row of a board has: its structures must not favour a row."""

STEPS = 1000
SPLIT = "test"


def find_challenging(
    dataset: str | Path,
    workdir: Path,
    *,
    steps: int = STEPS,
    threads: int | None = 1,
) -> Challenging:
    """Train the baseline on a data set (or go on with it), score it, and list where it is worst on the test split.

    Args:
        dataset: name or folder of a data set with the split ``test``.
        workdir: folder of the run; nothing else may lie there.
        steps: optimiser steps of the training.
        threads: of torch.

    Returns:
        The part of the card; structures by the error of the baseline's first operator, worst first.

    Raises:
        ConfigError: the folder holds another run.
        DataError: no such data set, or one without a test split.
    """
    # steps instead of the recipe's seconds: the lists must not depend on the machine
    changes = {"training.max_steps": steps, "training.max_wall_s": None}
    config = RunConfig(
        dataset,
        BASELINE,
        variant=VARIANT,
        changes=changes,
        seed=SEED,
        splits=[SPLIT],
        floors=False,
        out=workdir,
        threads=threads,
    )
    with open_run(config) as run:
        run.execute()
    table, blocks = (read_table(workdir / SPLIT / name) for name in (PER_STRUCTURE_FILE, BLOCKS_FILE))
    return Challenging(
        baseline=f"{BASELINE}, variant {VARIANT}, {steps} steps, seed {SEED}; made by `{_command(run.data, steps)}`",
        samples=tuple(challenging_samples(table, run.targets[0])),
        blocks={op: challenging_block(blocks, op) for op in run.targets if op in run.data.card.operators},
    )


def update_card(dataset: str | Path, challenging: Challenging) -> Path:
    """Write the lists to the card and README of a data set; neither fingerprint nor split hashes depend on them.

    Args:
        dataset: name or folder of a data set.
        challenging: the lists.

    Returns:
        Path of the card.

    Raises:
        DataError: a listed structure that is not in the test split.
    """
    data = load_dataset(dataset)
    # the lists are part of no hash, so a card of another revision of the data could be given by mistake
    strangers = sorted(set(challenging.samples) - set(data.split(SPLIT)))
    if strangers:
        raise DataError(f"{data.root / CARD_FILE}: key 'challenging.samples': {strangers[0]!r} is not in split {SPLIT}")
    card: Card = data.card.model_copy(update={"challenging": challenging})
    readme = data.root / "README.md"
    if readme.is_file():
        write_text(readme, dataset_readme(card, data.root / next(iter(card.origin.files))))
    return write_card(card, data.root)


def _command(data: Dataset, steps: int) -> str:
    return f"slembench dev challenging {data.name}" + ("" if steps == STEPS else f" --steps {steps}")
