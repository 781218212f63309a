"""From the NPZ files of a recipe to a finished data set: Parquet, splits, card, README, every structure verified."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, Field

from slembench.core.config import StrictModel, load_yaml
from slembench.core.errors import DataError
from slembench.core.files import atomic_folder, sha256, write_text
from slembench.core.progress import progress
from slembench.data.card import parse_card, write_card
from slembench.data.dataset import Dataset
from slembench.data.readme import dataset_readme
from slembench.data.recipes.noise import digits, numerical_noise
from slembench.data.recipes.records import Record, read_record
from slembench.data.recipes.verify import EMPTY_BANDS, Checks, Limits, verify_sample
from slembench.data.sample import Sample
from slembench.data.splits import Splits, shuffled, write_splits
from slembench.data.store import Header, write_samples

logger = logging.getLogger(__name__)

TEMPLATES = Path(__file__).parent / "templates"
DATA_FILE = "data/structures.parquet"
SPLIT_FILE = "splits/default.json"
Content = TypeVar("Content", bound=BaseModel)


class SplitPlan(StrictModel):
    """How the structures are divided.

    Attributes:
        main: kind of structure (key of ``cells``) that is divided by ``shares``.
        shares: split -> share of the main structures; equal to the counts where all planned structures are there.
        more: other kind -> its own shares of the same splits.
        extra: split -> kind of cell that makes it up whole.
    """

    seed: int
    main: str
    shares: dict[str, int]
    more: dict[str, dict[str, int]] = Field(default_factory=dict)
    extra: dict[str, str] = Field(default_factory=dict)

    @property
    def divided(self) -> dict[str, dict[str, int]]:
        """Kind -> shares, of every kind that is divided."""
        return {self.main: self.shares, **self.more}


class Template(StrictModel):
    """Template of a generated data set: the keys of its card that are known beforehand, and the split plan.

    Attributes:
        recipe: module with the function ``plan()`` that makes the structures.
        cells: kind of structure (cell size, molecule) -> pattern of structure ids.
        splits: see `SplitPlan`.
        limits: see `slembench.data.recipes.verify.Limits`.
        card: keys of the card that are known beforehand.
    """

    recipe: str
    cells: dict[str, str]
    splits: SplitPlan
    limits: dict[str, float] = Field(default_factory=dict)
    card: dict[str, Any]


def read_template(name: str) -> Template:
    """Template of a data set by name.

    Raises:
        DataError: no such template, or keys that do not belong.
    """
    return read_named(TEMPLATES, name, Template, "recipe")


def list_named(folder: Path) -> list[str]:
    """Data sets with a YAML file in one of the package's folders, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_named(folder: Path, name: str, model: type[Content], word: str) -> Content:
    """The YAML file of a data set in one of the package's folders, as a pydantic model.

    Args:
        folder: of the package.
        name: of the data set.
        model: what the file must fit.
        word: what the file is, for errors.

    Raises:
        DataError: no such file, keys that do not belong, or values of the wrong kind; names file and key.
    """
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise DataError(f"no {word} for data set {name!r}; there are {word}s for: {', '.join(list_named(folder))}")
    return load_yaml(model, path, DataError)


def assemble(name: str, workdir: Path, out: Path) -> Dataset:
    """Make the data set ``name`` from a recipe's work directory; nothing appears at ``out`` unless all checks pass.

    Args:
        name: of a template, one of `list_named`(`TEMPLATES`).
        workdir: holds ``structures/*.npz``.
        out: folder of the data set; replaced where it exists.

    Returns:
        The data set at ``out``.

    Raises:
        DataError: no structures, contradicting or damaged files, or a check that failed; names file, structure and key.
    """
    template = read_template(name)
    files = sorted((workdir / "structures").glob("*.npz"))
    if not files:
        raise DataError(f"{workdir / 'structures'}: no *.npz files; generate the structures first")
    first = read_record(files[0])
    header = Header(
        basis=first.sample.basis.to_dict(),
        energy_unit=first.sample.info.energy_unit,
        energy_zero=first.sample.info.energy_zero,
        operators=tuple(first.sample.operators),
        rounding=dict(template.card["rounding"]),
    )
    splits = divide([file.stem for file in files], template)
    divided = sum(len(splits[name]) for name in template.splits.shares)
    planned = sum(sum(shares.values()) for shares in template.splits.divided.values())
    if divided < planned:
        kinds = " and ".join(template.splits.divided)
        logger.info("provisional: %d of %d %s structures are there, split in proportion", divided, planned, kinds)
    with TemporaryDirectory() as cache, atomic_folder(out, replace=True) as folder:
        write_samples(folder / DATA_FILE, _samples(files, first), header)
        logger.info("%d structures written, %.1f MB", len(files), (folder / DATA_FILE).stat().st_size / 1e6)
        write_splits(folder / SPLIT_FILE, splits)
        content = _merge(
            _card_content(template, first, files, splits, header), {"numerical_noise": numerical_noise(workdir)}
        ) | {
            "origin": {
                "recipe": f"slembench dev generate {name}",
                "files": {DATA_FILE: sha256(folder / DATA_FILE)},
            }
        }
        card = parse_card(content, TEMPLATES / f"{name}.yaml")
        write_card(card, folder)
        checks = _verify(Dataset(folder, cache), files, Limits(**template.limits))
        card = parse_card(_merge(card.model_dump(), {"checks": checks}), out / "card.yaml")
        write_card(card, folder)
        write_text(folder / "README.md", dataset_readme(card, folder / DATA_FILE))
    return Dataset(out)


def divide(ids: list[str], template: Template) -> Splits:
    """Splits of the ids there are: main and other divided kinds by seeded permutation and shares, extra ones whole.

    Raises:
        DataError: an id of no kind, or too few structures to fill every split.
    """
    plan = template.splits
    of_kind = {kind: [i for i in ids if fnmatchcase(i, pattern)] for kind, pattern in template.cells.items()}
    stray = sorted(set(ids) - {i for members in of_kind.values() for i in members})
    if stray:
        raise DataError(f"structure {stray[0]!r}: key 'id': matches none of {', '.join(template.cells.values())}")
    splits: Splits = {name: [] for name in plan.shares}
    for kind, shares in plan.divided.items():
        # one permutation cut at rounded shares: with all planned structures there, the shares are the counts
        order, total = shuffled(of_kind[kind], plan.seed), sum(shares.values())
        bounds = np.round(np.cumsum([0, *shares.values()]) * len(order) / total).astype(int).tolist()
        for name, a, b in zip(shares, bounds[:-1], bounds[1:], strict=True):
            splits[name] = sorted([*splits[name], *order[a:b]])
    empty = [name for name, members in splits.items() if not members]
    if empty:
        count = sum(len(of_kind[kind]) for kind in plan.divided)
        raise DataError(f"{count} structures are too few: split {empty[0]!r} would be empty")
    extra = {name: sorted(of_kind[kind]) for name, kind in plan.extra.items()}
    return splits | {name: members for name, members in extra.items() if members}


def _samples(files: list[Path], first: Record) -> Iterator[Sample]:
    """Samples in file order, on-site blocks made exactly symmetric, all of one basis and one set of radii."""
    for file in files:
        record = read_record(file)
        for key, found, wanted in (
            ("basis", record.sample.basis.to_dict(), first.sample.basis.to_dict()),
            ("pair_radii", record.radii, first.radii),
        ):
            if found != wanted:
                raise DataError(f"{file}: structure {file.stem!r}: key {key!r}: {found}, the first file has {wanted}")
        for name, operator in record.sample.operators.items():
            # the transform leaves on-site blocks asymmetric in the last bits; one triangle would keep one of two values
            record.sample.operators[name] = operator.hermitise().triangle()
        yield record.sample


def _verify(dataset: Dataset, files: list[Path], limits: Limits) -> dict[str, Any]:
    """Verify every structure; the worst values, as keys of the card's ``checks``."""
    checks: list[Checks] = []
    for file in progress(files, "verify"):
        checks.append(verify_sample(dataset, read_record(file), limits))
    logger.info("%d structures verified", len(files))
    periodic = dataset.card.periodic
    occupied = "filled at the stored smearing on kmesh_ft" if periodic else "occupied"
    density = {
        "max_density_error": digits(max(c.density for c in checks)),
        "max_density_error_of": f"D - C f C^T, C the orbitals of the stored H and S, {occupied}",
    }
    molecules = {
        "max_rounding_error_meV": digits(max(c.rounding_meV for c in checks)),
        "max_rounding_error_of": "all orbitals, values before and after rounding",
        "max_direction_error": digits(max(c.direction for c in checks)),
    }
    bands = f"occupied bands and {EMPTY_BANDS} above" if periodic else "all orbitals"
    return {
        "structures_verified": len(checks),
        "max_eigenvalue_error_meV": digits(max(c.eigenvalue_meV for c in checks)),
        "max_eigenvalue_error_of": f"{bands}, stored values against the code's own",
        **(density if "density" in dataset.card.operators else {}),
        **({} if periodic else molecules),
        "max_electrons_error": digits(max(c.electrons for c in checks)),
        "max_far_overlap": digits(max(c.far_overlap for c in checks)),
        "min_overlap_eigenvalue": digits(min(c.overlap_eigenvalue for c in checks)),
        "min_cutoff_margin_Angstrom": digits(min(c.cutoff_margin for c in checks)),
    }


def _card_content(
    template: Template, first: Record, files: list[Path], splits: Splits, header: Header
) -> dict[str, Any]:
    atoms = pairs = values = 0
    meshes: dict[str, dict[str, Any]] = {"kmesh_scf": {}, "kmesh_ft": {}}
    for file in files:
        record = read_record(file)
        operator = record.sample.operators["overlap"].complete()
        atoms += len(record.sample.atoms)
        pairs += operator.n_pairs
        values += len(operator.values)
        kind = next(kind for kind, pattern in template.cells.items() if fnmatchcase(file.stem, pattern))
        for key, mesh in (("kmesh_scf", record.sample.info.kmesh), ("kmesh_ft", record.kmesh_ft)):
            if mesh is None:
                continue
            if meshes[key].setdefault(kind, mesh) != mesh:
                raise DataError(
                    f"{file}: structure {file.stem!r}: key {key!r}: {mesh}, others have {meshes[key][kind]}"
                )
    plan = template.splits
    proportions = "; ".join(
        f"{kind} structures by one seeded permutation in the proportions "
        + ", ".join(f"{name} {share}" for name, share in shares.items())
        for kind, shares in plan.divided.items()
    )
    whole = "".join(f"; {name} holds every {kind} structure" for name, kind in plan.extra.items())
    return _merge(
        template.card,
        {
            "elements": list(header.basis),
            "basis": header.basis,
            "cutoffs": first.radii,
            "units": {"energy": header.energy_unit, "length": header.length_unit},
            "energy_zero": header.energy_zero,
            "operators": list(header.operators),
            "level_of_theory": {key: of_kind for key, of_kind in meshes.items() if of_kind},
            "counts": {
                "structures": len(files),
                "splits": {name: len(ids) for name, ids in splits.items()},
                "atoms": atoms,
                "pairs": pairs,
                "values": values,
            },
            "splits": {
                "rule": proportions + whole,
                "seed": plan.seed,
                "file": SPLIT_FILE,
            },
        },
    )


def _merge(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the keys of ``more``; where both hold mappings these are merged the same way."""
    merged = dict(base)
    for key, value in more.items():
        both = isinstance(merged.get(key), Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
