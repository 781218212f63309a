"""The plan of a study: an explicit table of runs, written before anything runs (``plan.yaml``).

Every run has a key, the hash of everything that decides its result. A run is kept under its key, so a plan may grow,
shrink or be begun again: what is finished is never done twice. A plan may be edited; its keys are computed anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, model_validator

from slembench.core.config import StrictModel, load_yaml
from slembench.core.errors import ConfigError
from slembench.core.files import write_text

PLAN_FILE = "plan.yaml"

Kind = Literal["data-efficiency", "transfer", "locality", "seeds"]


class Derived(StrictModel):
    """A data set made of another one's structures; see `slembench.data.derive`.

    Attributes:
        source: name or folder of the data set that holds the structures.
        splits: split -> ids; None for the source's own.
        cutoff_factor: on the cutoff radii; blocks beyond are left out.
    """

    source: str
    splits: dict[str, tuple[str, ...]] | None = None
    cutoff_factor: float = Field(1.0, gt=0, le=1)


class PlannedRun(StrictModel):
    """One run of a study.

    Attributes:
        dataset: name or folder of a data set, or a name among the plan's derived ones.
        fingerprint: of the data set (of the source, for a derived one).
        model: as `slembench.models.registry` understands it.
        variant: of its recipe.
        changes: dotted key -> value on top of that.
        settings: sha256 of model, training and targets after all of that.
        seed: of weights and data order.
        partition: per cent of the training split.
        splits: to predict and score.
        init_from: key of a run of the plan whose weights this one starts from; empty for random weights.
        labels: what the report sorts and groups by.
    """

    dataset: str
    fingerprint: str
    model: str
    variant: str = ""
    changes: dict[str, Any] = Field(default_factory=dict)
    settings: str
    seed: int = 0
    partition: int = 100
    splits: tuple[str, ...]
    init_from: str = ""
    labels: dict[str, str | int | float] = Field(default_factory=dict)


class StudyPlan(StrictModel):
    """A study.

    Attributes:
        study: its kind, which decides the report.
        derived: name -> data set to be made.
        runs: the table.

    Raises:
        ValidationError: two runs alike, or a run that starts from one that does not come before it.
    """

    study: Kind
    derived: dict[str, Derived] = Field(default_factory=dict)
    runs: tuple[PlannedRun, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> StudyPlan:
        known: set[str] = set()
        for number, run in enumerate(self.runs):
            # only earlier runs: so the table has no circle, and can be worked through from top to bottom
            if run.init_from and run.init_from not in known:
                raise ValueError(f"run {number}: init_from {run.init_from} is the key of no run before it")
            key = self.key(run)
            if key in known:
                raise ValueError(f"run {number}: the same as an earlier one ({key})")
            known.add(key)
        return self

    def key(self, run: PlannedRun) -> str:
        """16 hexadecimal digits that stand for all that decides the run's result (not its labels)."""
        # changes and variant are resolved into settings: two spellings of the same run have one key
        content = run.model_dump(mode="json", exclude={"labels", "changes", "variant"})
        derived = self.derived.get(run.dataset)
        # a derived data set has no fingerprint before it is made; how it is made stands in its place
        content["derived"] = derived.model_dump(mode="json") if derived else None
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @cached_property
    def keyed(self) -> dict[str, PlannedRun]:
        """Key -> run, in the order of the table."""
        return {self.key(run): run for run in self.runs}


def settings_hash(model: Mapping[str, Any], training: Mapping[str, Any], targets: Sequence[str] | None) -> str:
    """sha256 of resolved settings, 16 digits; the seed stands in the run itself and is left out.

    Example:
        >>> first = settings_hash({"n_layers": 2}, {"max_steps": 10, "seed": 0}, ["hamiltonian"])
        >>> first == settings_hash({"n_layers": 2}, {"max_steps": 10, "seed": 7}, ["hamiltonian"])
        True
        >>> first == settings_hash({"n_layers": 3}, {"max_steps": 10, "seed": 0}, ["hamiltonian"])
        False
    """
    content = {"model": model, "training": {**training, "seed": None}, "targets": targets}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def write_plan(plan: StudyPlan, folder: Path) -> Path:
    """Write ``folder``/plan.yaml, atomically, each run with its key as a comment; returns the path.

    Example:
        >>> import tempfile
        >>> run = PlannedRun(dataset="mos2-mini", fingerprint="f", model="slem", settings="s", splits=("test",))
        >>> plan = StudyPlan(study="seeds", runs=(run, run.model_copy(update={"seed": 1})))
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_plan(plan, folder).name
        'plan.yaml'
        >>> read_plan(folder) == plan, len(plan.keyed)
        (True, 2)
    """
    head = plan.model_dump(mode="json", exclude={"runs"}, exclude_defaults=True)
    text = yaml.safe_dump({"study": plan.study, **head}, sort_keys=False, width=120) + "runs:\n"
    for key, run in plan.keyed.items():
        item = yaml.safe_dump([run.model_dump(mode="json", exclude_defaults=True)], sort_keys=False, width=120)
        # the key is a comment: it follows from the run, and a plan that was edited by hand cannot contradict it
        text += f"# {key}\n{item}"
    return write_text(folder / PLAN_FILE, text)


def read_plan(folder: Path) -> StudyPlan:
    """The plan of a study's folder.

    Raises:
        ConfigError: no plan there, not YAML, or a key or value that is refused.
    """
    path = folder / PLAN_FILE
    if not path.is_file():
        raise ConfigError(f"{folder}: no {PLAN_FILE} there; `slembench study new DESIGN --out {folder}` writes one")
    return load_yaml(StudyPlan, path)
