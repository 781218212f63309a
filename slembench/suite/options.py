"""Options of a session of the suite: read from pytest's command line and checked before any test runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from slembench.core.errors import ConfigError, SlembenchError
from slembench.core.files import make_parent
from slembench.suite.gate import Threshold, read_gate
from slembench.training.checkpoint import find_checkpoint

STEPS = 10
"""Default number of training steps: enough to see that a model trains, not how accurate it becomes."""


@dataclass(frozen=True)
class SuiteOptions:
    """Options of a session, checked.

    Attributes:
        model: model as `slembench.models.registry.load_model_class` takes it; "" with a checkpoint.
        checkpoint: folder of a run or checkpoint; None with a model.
        dataset: name or folder of the data set.
        split: held-out split.
        variant: of the recipe.
        changes: ``key=value`` texts for the recipe, the number of steps first.
        gate: metric -> threshold.
        out: record to write.
        run: folder to keep the run in.
    """

    model: str
    checkpoint: Path | None
    dataset: str
    split: str
    variant: str
    changes: tuple[str, ...]
    gate: dict[str, Threshold]
    out: Path | None
    run: Path | None

    @property
    def subject(self) -> str:
        """Model or checkpoint as it was given, for messages and the record."""
        return self.model or str(self.checkpoint)


def read_options(config: pytest.Config) -> SuiteOptions:
    """The options of a session.

    Raises:
        pytest.UsageError: options that contradict each other, a number of steps that is not one, a broken gate file, a
            record or run that could not be written.
    """
    try:
        return _options(config)
    except SlembenchError as error:
        raise pytest.UsageError(str(error)) from error


def _options(config: pytest.Config) -> SuiteOptions:
    given = {key: config.getoption(f"--slembench-{key}") for key in ("model", "checkpoint", "gate", "out", "run")}
    if given["model"] and given["checkpoint"]:
        raise ConfigError("give --slembench-model or --slembench-checkpoint, not both")
    model, checkpoint = given["model"] or "", _path(given["checkpoint"])
    # --slembench-model also takes the folder of a run; one that holds model.py is a model, even where a run lies in it
    if model and not (Path(model) / "model.py").is_file() and find_checkpoint(Path(model)) is not None:
        model, checkpoint = "", Path(model)
    recipe = ("variant", "steps", "set")
    settings = {key: config.getoption(f"--slembench-{key}") for key in recipe}
    if checkpoint is not None:
        useless = [key for key in recipe if settings[key]]
        if useless:
            raise ConfigError(f"--slembench-{useless[0]} says how to train; {checkpoint} is trained already")
        if find_checkpoint(checkpoint) is None:
            raise ConfigError(f"--slembench-checkpoint {checkpoint}: no run or checkpoint there")
    # checked now: after an hour of tests it would be late to learn that the record cannot be written
    out = _path(given["out"])
    if out is not None:
        _check_writable(out)
    return SuiteOptions(
        model=model,
        checkpoint=checkpoint,
        dataset=config.getoption("--slembench-dataset") or "mos2-mini",
        split=config.getoption("--slembench-split") or "test",
        variant=settings["variant"] or "",
        changes=(*_steps(settings["steps"] or str(STEPS)), *(settings["set"] or ())),
        gate=read_gate(Path(given["gate"])) if given["gate"] else {},
        out=out,
        run=_path(given["run"]),
    )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _steps(text: str) -> tuple[str, ...]:
    """Changes to the recipe for a number of training steps.

    Example:
        >>> _steps("20"), _steps("recipe")
        (('training.max_steps=20',), ())
    """
    if text == "recipe":
        return ()
    if not text.isdigit() or int(text) == 0:
        raise ConfigError(f"--slembench-steps {text}: give a number of steps, or the word recipe")
    return (f"training.max_steps={text}",)


def _check_writable(out: Path) -> None:
    """Raises a ConfigError where the record could not be written in the end."""
    if out.is_dir():
        raise ConfigError(f"--slembench-out {out}: is a folder; give the name of a file, such as {out / 'record.yaml'}")
    make_parent(out)
    if not os.access(out.parent, os.W_OK):
        raise ConfigError(f"--slembench-out {out}: the folder {out.parent} is not writable")
