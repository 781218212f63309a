"""The card of a data set: what it is, in which units, how it is split and scored (``card.yaml``).

Every key is checked; an unknown or ill-typed one is refused with the file and the key named.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from ase.data import atomic_numbers
from pydantic import AliasChoices, Field, model_validator

from slembench.core.config import StrictModel, parse_config, read_yaml
from slembench.core.errors import DataError
from slembench.core.files import write_text
from slembench.operators import Operator
from slembench.operators.orbitals import Basis

CARD_FILE = "card.yaml"

Mesh = tuple[int, int, int]
Positive = Annotated[float, Field(gt=0)]


class Units(StrictModel):
    """Units of every number in the data set."""

    energy: Literal["eV", "Hartree"]
    length: Literal["Angstrom"]


class LevelOfTheory(StrictModel):
    """How the reference operators were computed.

    Attributes:
        kmesh_scf: k mesh of the self-consistent run; one, or one for each kind of cell ("2x2": [3, 3, 1]).
        kmesh_ft: odd k mesh whose inverse Fourier transform gives the blocks; absent where a code writes blocks itself.
        smearing: width in eV with the name of the function, e.g. "Fermi-Dirac 0.05 eV".
        grid: real-space grid or plane-wave cutoff, with its unit.
    """

    code: str
    version: str
    functional: str
    basis: str
    pseudopotential: str
    kmesh_scf: Mesh | dict[str, Mesh] | None = None
    kmesh_ft: Mesh | dict[str, Mesh] | None = None
    smearing: str | None = None
    grid: str | None = None
    convergence: str | None = None


class SplitRule(StrictModel):
    """How the data set was split; the ids themselves stand in ``file`` (relative to the card)."""

    rule: str
    seed: int
    file: str


class Official(StrictModel):
    """The numbers that a leaderboard shows first for this data set (definitions in the metrics documentation)."""

    average: Literal["pooled", "per_structure"]
    counting: Literal["full", "reduced"]
    metrics: tuple[str, ...]


class Bands(StrictModel):
    """Where band energies of crystals are scored.

    Attributes:
        kmesh: k mesh.
        window_eV: half width of the window around the Fermi level.
        path_spacing: of points along the k path, 1 / Angstrom with the factor 2 pi; the path itself follows from the
            structure (seekpath).
    """

    kmesh: Mesh
    window_eV: Positive
    path_spacing: Positive = 0.1


class Challenging(StrictModel):
    """Structures and blocks on which a reference baseline is worst, so that every model is scored on the same ones.

    Attributes:
        baseline: which model, trained how; its seed enters no board.
        samples: ids of test structures.
        blocks: operator -> element and shell of i, element and shell of j, such as [Mo, d1, S, p1].
    """

    baseline: str
    samples: tuple[str, ...] = ()
    blocks: dict[Operator, tuple[str, str, str, str]] = Field(default_factory=dict)


class ScfProtocol(StrictModel):
    """How one-shot energies and self-consistent runs from predictions are made, and what they are compared with.

    Attributes:
        code: program.
        functional: its name there.
        basis: orbital basis set.
        grid_level: integration grid.
        guess: initial guess that predictions are compared with.
        diis_space: Fock matrices that Pulay's DIIS keeps.
        energy_tolerance: change of the energy between the last two cycles, Hartree.
        gradient_tolerance: norm of the orbital gradient, Hartree; the square root of the other where absent.
        max_cycles: cycles after which a run counts as not converged.
    """

    code: Literal["PySCF"]
    functional: str
    basis: str
    grid_level: int
    guess: Literal["minao", "1e", "atom", "huckel"] = "minao"
    diis_space: int = 8
    energy_tolerance: Positive = 1e-9
    gradient_tolerance: Positive | None = None
    max_cycles: int = 50


class Counts(StrictModel):
    """Structures in all and in each split, atoms, scored pairs (both directions, on-site included), values stored."""

    structures: int
    splits: dict[str, int]
    atoms: int
    pairs: int
    values: int


class Origin(StrictModel):
    """Where the data come from: the recipe or address, and the sha256 of every data file (relative to the card)."""

    recipe: str
    files: Annotated[dict[str, str], Field(min_length=1)]


class Card(StrictModel):
    """A data set's card. Energies in ``units.energy`` unless a key says otherwise, lengths in Angstrom.

    Attributes:
        basis: chemical symbol -> shells, e.g. "3s2p2d".
        cutoffs: chemical symbol -> radius r in Angstrom; pairs up to (r_i + r_j) / 2 are scored.
        energy_zero: what the energies are measured from; never guessed.
        convention: orbital order and sign of the source (a name in
            `slembench.operators.orbitals.CONVENTIONS`); what is stored is always in this project's own.
        rounding: operator -> quantum to which stored values were rounded (a power of two, unit of the operator).
        challenging: hardest test structures and blocks under a reference baseline.
        scf: protocol of self-consistent runs from predictions; absent where none are made.
        numerical_noise: measured size of what no model can learn, with what was measured.
        checks: results of the verification that every structure went through.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    title: str
    revision: int
    description: str
    elements: tuple[str, ...]
    basis: dict[str, str]
    cutoffs: dict[str, Positive]
    units: Units
    energy_zero: str
    periodic: bool
    level_of_theory: LevelOfTheory
    convention: str
    operators: tuple[Operator, ...]
    rounding: dict[Operator, Positive] = Field(default_factory=dict)
    counts: Counts
    splits: SplitRule
    official: Official
    bands: Bands | None = None
    challenging: Challenging | None = None
    scf: ScfProtocol | None = None
    licence: str
    origin: Origin
    # cards written before the key was renamed say "noise_floor"
    numerical_noise: dict[str, float | str] = Field(
        default_factory=dict, validation_alias=AliasChoices("numerical_noise", "noise_floor")
    )
    citation: str
    redistribution: bool
    checks: dict[str, float | int | str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Card:
        Basis.parse(self.basis)
        for key in ("basis", "cutoffs"):
            if set(getattr(self, key)) != set(self.elements):
                given, wanted = ", ".join(sorted(getattr(self, key))), ", ".join(self.elements)
                raise ValueError(f"{key} is given for {given}, elements are {wanted}")
        if len(set(self.operators)) != len(self.operators) or not self.operators:
            raise ValueError("operators must be a list without repetition, at least one long")
        return self

    @property
    def orbital_basis(self) -> Basis:
        """Shells per element as a `Basis`."""
        return Basis.parse(self.basis)

    @property
    def fingerprint(self) -> str:
        """sha256 over the sha256 of every data file, as the card states them."""
        files = "".join(f"{file} {digest}\n" for file, digest in sorted(self.origin.files.items()))
        return hashlib.sha256(files.encode()).hexdigest()

    @property
    def cutoff_radii(self) -> dict[int, float]:
        """Atomic number -> radius r in Angstrom of the scored pair set."""
        return {int(atomic_numbers[symbol]): radius for symbol, radius in self.cutoffs.items()}


def parse_card(content: Any, file: str | Path) -> Card:
    """Card from the mapping that a YAML file holds.

    Args:
        content: what the YAML parser returned.
        file: named in errors.

    Raises:
        DataError: every unknown, missing or wrong key, with the file.
    """
    if not isinstance(content, dict):
        raise DataError(f"{file}: a card must be a mapping of keys to values, found {type(content).__name__}")
    return parse_config(Card, content, file, DataError)


def read_card(folder: str | Path) -> Card:
    """Card of the data set in ``folder``.

    Raises:
        DataError: no card there, not YAML, or keys that `parse_card` refuses.
    """
    path = Path(folder) / CARD_FILE
    if not path.is_file():
        raise DataError(f"{path}: no such file; a data set is a folder with a {CARD_FILE}")
    return parse_card(read_yaml(path, DataError), path)


def write_card(card: Card, folder: str | Path) -> Path:
    """Write ``card`` as ``folder``/card.yaml, atomically; returns the path."""
    content = card.model_dump(mode="json", exclude_none=True)
    return write_text(Path(folder) / CARD_FILE, yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True))
