"""The metrics as data, from ``catalogue.yaml``: heading, unit, direction, needs, definition and function of each."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from slembench.core.config import StrictModel, load_yaml
from slembench.operators import OPERATORS

CATALOGUE = Path(__file__).with_name("catalogue.yaml")

Need = Literal["H", "S", "D", "k-points", "electrons", "challenging", "PySCF", "model", "ensemble"]
"""What a metric may need: operators, the card's k mesh or challenging sets, PySCF, a model to call, several models."""

Part = Literal["onsite", "offsite"]

SCORE_FORMS = ("elements", "structures", "split")
"""Forms of metrics that make a score of a record."""


class Group(StrictModel):
    """Scores that one table of a board shows.

    Attributes:
        title: of the table.
        note: what a reader must know.
    """

    title: str
    note: str = ""


class Metric(StrictModel):
    """One metric.

    Attributes:
        name: as in the names of scores.
        title: one line for a table.
        heading: of its column; empty where the name says enough.
        group: table of a board that it stands in, a name of `groups`; empty where it makes no score.
        formula: definition in words and symbols.
        unit: ``operator`` (energy for H, 1 for S and D), ``energy``, ``1``, or a word of its own such as ``ms``.
        direction: which way is better.
        needs: what it takes besides the predicted operator.
        form: ``elements`` has a value for each counting and average, ``structures`` one value a structure, ``split``
            one for the whole split, ``table`` a table, ``check`` a measured value of a model (`RunRecord.physics`),
            ``run`` a value of a run (`RunRecord.cost`), ``study`` one of several runs.
        kind: mean absolute, root mean square or largest error; only with form ``elements``, as the next three.
        parts: blocks that count.
        gauge: of Delta - mu S instead of Delta.
        challenging: over the structures alone that the card names as challenging.
        over: how the values of structures become one score; only with form ``structures``.
        operators: operators that it is defined for.
        systems: kinds of system that it is defined for.
        option: option of ``slembench evaluate`` that computes it; empty: always computed.
        function: dotted path of the function that computes it for every board.
        source: where the definition comes from.
    """

    name: str
    title: str
    heading: str = ""
    group: str = ""
    formula: str
    unit: Literal["operator", "energy", "1", "s", "ms", "bytes"]
    direction: Literal["lower", "higher", "none"]
    needs: tuple[Need, ...]
    form: Literal["elements", "structures", "split", "table", "check", "run", "study"]
    kind: Literal["mae", "rmse", "max"] | None = None
    parts: tuple[Part, ...] = ("onsite", "offsite")
    gauge: bool = False
    challenging: bool = False
    over: Literal["mean", "min", "max", "sum", "ratio"] | None = None
    operators: tuple[str, ...] = OPERATORS
    systems: tuple[Literal["molecules", "crystals"], ...] = ("molecules", "crystals")
    option: str = ""
    function: str
    source: str

    @model_validator(mode="after")
    def _consistent(self) -> Metric:
        if (self.over is not None) != (self.form == "structures"):
            raise ValueError("'over' belongs to the form 'structures', and only to it")
        if (self.kind is not None) != (self.form == "elements"):
            raise ValueError("'kind' belongs to the form 'elements', and only to it")
        # a column without heading or group would be missing from every board without a word
        if self.makes_score != bool(self.heading and self.group):
            raise ValueError("a metric that makes a score has a heading and a group, and no other has a group")
        return self

    @property
    def makes_score(self) -> bool:
        """Whether records hold scores of this metric; tables, checks, costs and exponents stand elsewhere."""
        return self.form in SCORE_FORMS

    def unit_of(self, operator: str, energy_unit: str) -> str:
        """Unit word of this metric for one operator, given the energy unit of the data ("1": dimensionless).

        Example:
            >>> catalogue()["mae_all"].unit_of("hamiltonian", "eV"), catalogue()["mae_all"].unit_of("overlap", "eV")
            ('eV', '1')
        """
        if self.unit not in ("operator", "energy"):
            return self.unit
        # "operator" is an energy for H alone; S and D are dimensionless, but levels moved by an error of S are energies
        return energy_unit if self.unit == "energy" or operator == "hamiltonian" else "1"


class Catalogue(StrictModel):
    """Content of ``catalogue.yaml``.

    Attributes:
        groups: tables of a board, in order; name -> title and note.
        metrics: name -> metric.
    """

    groups: dict[str, Group]
    metrics: dict[str, Metric]

    @model_validator(mode="before")
    @classmethod
    def _with_names(cls, content: Any) -> Any:
        """A metric's name is its key in the file."""
        if not isinstance(content, dict) or not isinstance(content.get("metrics"), dict):
            return content  # the fields below say what is wrong
        metrics = {
            name: {**entry, "name": name} if isinstance(entry, dict) else entry
            for name, entry in content["metrics"].items()
        }
        return {**content, "metrics": metrics}

    @model_validator(mode="after")
    def _known_groups(self) -> Catalogue:
        unknown = [m.name for m in self.metrics.values() if m.group and m.group not in self.groups]
        if unknown:
            raise ValueError(f"metric {unknown[0]!r} stands in a group that is not listed under 'groups'")
        return self


def read_catalogue(path: Path) -> Catalogue:
    """Groups and metrics of a catalogue file, both in the order of the file.

    Raises:
        ConfigError: not YAML, an unknown or missing key, or a wrong value; names file, metric and key.
    """
    return load_yaml(Catalogue, path)


@lru_cache(maxsize=1)
def _shipped() -> Catalogue:
    return read_catalogue(CATALOGUE)


def catalogue() -> dict[str, Metric]:
    """The metrics of this package, name -> metric (do not change the mapping).

    Example:
        >>> metric = catalogue()["mae_off"]
        >>> metric.formula, metric.direction, metric.function
        ('mae_all over blocks with i != j or R != 0', 'lower', 'slembench.metrics.matrix.structure_sums')
    """
    return _shipped().metrics


def groups() -> dict[str, Group]:
    """Tables of scores that a board shows, in order, the main one first; name -> title and note.

    Example:
        >>> list(groups())
        ['main', 'elements', 'levels', 'orbitals', 'density', 'budget']
    """
    return _shipped().groups


def metrics_of(group: str) -> tuple[str, ...]:
    """Names of the metrics of one group, in the order of their columns.

    Example:
        >>> metrics_of("orbitals")
        ('psi_cos_legacy', 'occ_subspace')
    """
    return tuple(name for name, metric in catalogue().items() if metric.group == group)


def heading(metric: str) -> str:
    """Heading of a metric's column; the name in words where the catalogue has no other.

    Example:
        >>> heading("mae_off"), heading("size_extensivity")
        ('MAE off-site', 'size extensivity')
    """
    entry = catalogue().get(metric)
    return entry.heading if entry and entry.heading else metric.replace("_", " ")
