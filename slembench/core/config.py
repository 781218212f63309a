"""Settings and records read from YAML: strict pydantic models, and one kind of error for all mistakes in a file.

Every file that a person writes (recipe, card, plan, gate, submission ...) is read through `load_yaml`, and every
mapping that pydantic checks goes through `parse_config`, so that a mistake ends in one line with file and key.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from slembench.core.errors import ConfigError, SlembenchError

Parsed = TypeVar("Parsed")

MAX_VALUE = 60
"""Longest text of a wrong value that a message repeats."""

MAX_PROBLEMS = 10
"""Mistakes named in one error; a file with more of them is of another kind altogether."""


class StrictModel(BaseModel):
    """Base of all configurations and records: unknown keys are refused, values cannot be changed afterwards.

    Example:
        >>> class Cutoff(StrictModel):
        ...     element: str
        ...     radius: float  # Angstrom
        >>> parse_config(Cutoff, {"element": "Mo", "radius": 5.5}, "card.yaml")
        Cutoff(element='Mo', radius=5.5)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse_config(
    kind: type[Parsed], values: Any, where: str | Path, error: type[SlembenchError] = ConfigError
) -> Parsed:
    """Checked values of a type from plain ones, or one error that names every wrong key.

    Args:
        kind: a pydantic class, or any type that pydantic knows, such as ``dict[str, Limits]``.
        values: nested mapping, as read from YAML.
        where: what the values are, for the message, such as ``slembench/models/slem/recipe.yaml: training``.
        error: class of the error.

    Raises:
        SlembenchError: unknown key, missing key, wrong type or value out of range; of class ``error``.

    Example:
        >>> parse_config(tuple[int, int, int], ["5", 5, 1], "card.yaml: kmesh")
        (5, 5, 1)
        >>> parse_config(dict[str, float], {"Mo": "wide"}, "card.yaml: cutoffs")
        Traceback (most recent call last):
        ...
        slembench.core.errors.ConfigError: card.yaml: cutoffs: key 'Mo': Input should be a valid number, unable to ...
    """
    try:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind.model_validate(values)
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as caught:
        problems = caught.errors(include_url=False)
        texts = [
            _problem(kind, item["loc"], item["type"], item["msg"], item["input"]) for item in problems[:MAX_PROBLEMS]
        ]
        more = f"; and {len(problems) - MAX_PROBLEMS} more" if len(problems) > MAX_PROBLEMS else ""
        # the pydantic error repeats the whole input, so it is not shown as the cause
        raise error(f"{where}: {'; '.join(texts)}{more}") from None


def read_yaml(file: str | Path, error: type[SlembenchError] = ConfigError) -> Any:
    """Content of a YAML file of plain values; for files of strangers see `slembench.submission.untrusted`.

    Raises:
        SlembenchError: no such file, not UTF-8, not YAML, or a tag that asks for more than plain values; of class
            ``error``.
    """
    # libyaml parses ten times as fast as the Python parser; not every build of PyYAML has it
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(Path(file).read_text(encoding="utf-8"), Loader=loader)
    except (
        OSError,
        ValueError,
        RecursionError,
        yaml.YAMLError,
    ) as caught:  # ValueError: not UTF-8
        raise error(f"{file}: not readable as YAML: {' '.join(str(caught).split())}") from caught


def load_yaml(kind: type[Parsed], file: str | Path, error: type[SlembenchError] = ConfigError) -> Parsed:
    """Checked content of a YAML file: `read_yaml`, then `parse_config`.

    Args:
        kind: a pydantic class, or any type that pydantic knows.
        file: its path.
        error: class of the error.

    Raises:
        SlembenchError: whatever is wrong with the file, with its path and the key; of class ``error``.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "limits.yaml"
        ...     _ = file.write_text("rotation: 1.0e-6")
        ...     load_yaml(dict[str, float], file)
        {'rotation': 1e-06}
    """
    return parse_config(kind, read_yaml(file, error), file, error)


def _problem(kind: Any, place: Sequence[int | str], type_: str, message: str, value: Any) -> str:
    """One mistake in words; a rule of the whole, such as that one of two keys must be given, belongs to no key."""
    key = f"key {'.'.join(map(str, place))!r}: " if place else ""
    if type_ == "extra_forbidden":
        known = ", ".join(_known_keys(kind, place[:-1]))
        return f"{key}unknown key; remove it or correct its spelling" + (f" (known: {known})" if known else "")
    if type_ == "missing":
        return f"{key}missing; add it"
    text = key + message.removeprefix("Value error, ")
    # What was found, where it is a word, a number or a short list: "5.o" is seen at once where "a number" is wanted.
    return f"{text}; found {value!r}" if place and type_ != "value_error" and len(repr(value)) <= MAX_VALUE else text


def _known_keys(kind: Any, place: Sequence[int | str]) -> list[str]:
    """Keys of the model at a place within ``kind``; none where that cannot be told, as in a union of two models."""
    if get_origin(kind) in (Union, UnionType):
        others = [part for part in get_args(kind) if part is not type(None)]
        return _known_keys(others[0], place) if len(others) == 1 else []
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if not place:
            return list(kind.model_fields)
        field = kind.model_fields.get(str(place[0]))
        return _known_keys(field.annotation, place[1:]) if field is not None else []
    # dict[str, Model], list[Model], tuple[Model, ...]: the place holds the entry's key or number
    # (arguments of a tuple[Model, ...] end with an Ellipsis)
    inner = [part for part in get_args(kind) if part is not Ellipsis]
    return _known_keys(inner[-1], place[1:]) if inner and place else []
