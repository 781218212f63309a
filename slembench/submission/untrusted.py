"""Hardened parsers for submitted files (path traversal, decompression bombs, YAML tags, pickle).

Whoever checks a submission opens files that anyone may have made. So a path must stay in the folder and be a plain
file, sizes and counts are looked at before anything is read, and the formats are those that hold numbers and words
alone.
"""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from slembench.core.errors import SubmissionError

YAML_BYTES = 1 << 20
"""Largest YAML file."""

YAML_DEPTH, YAML_NODES = 16, 20_000
"""Deepest nesting and most nodes of a YAML file."""

TABLE_COLUMNS = 1000
"""Most columns of a table."""

TEXT_LENGTH = 256
"""Longest text in a table."""


def file_inside(folder: Path, name: str, max_bytes: int) -> Path:
    """Path of a plain file of the folder.

    Args:
        folder: of the submission.
        name: relative to it, with "/".
        max_bytes: largest size.

    Raises:
        SubmissionError: a path that leads out of the folder, a symbolic link, no plain file, or too large a file.

    Example:
        >>> file_inside(Path("submission"), "../secret", 100)
        Traceback (most recent call last):
        slembench.core.errors.SubmissionError: submission: path '../secret' leads out of the folder; files lie in it
    """
    # Backslash and colon are separators on other systems, where the same folder may be opened; NUL ends a C string.
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or ":" in name:
        raise SubmissionError(f"{folder}: path {name!r} leads out of the folder; files lie in it")
    # Every folder on the way is looked at: a link in the middle of the path leads out just as one at its end.
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise SubmissionError(f"{path}: a symbolic link; put the file itself into the folder")
    try:
        found = path.lstat()  # lstat, since a fifo or device would block or never end when opened
    except OSError as error:
        raise SubmissionError(f"{path}: no such file") from error
    if not stat.S_ISREG(found.st_mode):
        raise SubmissionError(f"{path}: not a plain file")
    if found.st_size > max_bytes:
        raise SubmissionError(f"{path}: {found.st_size} bytes, more than the {max_bytes} allowed")
    return path


def read_yaml(path: Path) -> Any:
    r"""Content of a plain YAML file.

    Raises:
        SubmissionError: not YAML or UTF-8; tags, anchors or aliases, repeated keys; deeper or longer than any honest
            file; names the line.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "x.yaml")
        ...     _ = file.write_text("a: &x [1, 2]\nb: [*x, *x]\n")
        ...     read_yaml(file)
        Traceback (most recent call last):
        slembench.core.errors.SubmissionError: ...x.yaml:1: anchors and aliases are not allowed; write the value out
    """
    try:
        # Three passes: events first, since composing builds all nodes and aliases can make them grow exponentially.
        text = path.read_text(encoding="utf-8")
        _check_events(path, text)
        _check_keys(path, yaml.compose(text, Loader=yaml.SafeLoader))
        return yaml.safe_load(text)
    except SubmissionError:
        raise
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise SubmissionError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from error


def _check_events(path: Path, text: str) -> None:
    depth = nodes = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        where = f"{path}:{event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise SubmissionError(f"{where}: anchors and aliases are not allowed; write the value out")
        if getattr(event, "tag", None):
            raise SubmissionError(f"{where}: tag {event.tag!r} is not allowed; write a plain value")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        nodes += isinstance(event, yaml.NodeEvent)
        if depth > YAML_DEPTH or nodes > YAML_NODES:
            raise SubmissionError(f"{where}: nested deeper than {YAML_DEPTH} levels, or more than {YAML_NODES} values")


def _check_keys(path: Path, node: yaml.Node | None) -> None:
    """Refuse repeated keys below a node."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_keys(path, item)
    elif isinstance(node, yaml.MappingNode):
        seen = set()  # YAML takes the last of repeated keys silently: what a person reads and what counts would differ
        for key, value in node.value:
            where = f"{path}:{key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode) or key.value in seen:
                raise SubmissionError(f"{where}: key {str(key.value)[:80]!r} is no word, or stands there twice")
            seen.add(key.value)
            _check_keys(path, value)


def read_submitted_table(path: Path, rows: int) -> pd.DataFrame:
    """A table of numbers, booleans and short texts.

    Args:
        path: Parquet file.
        rows: rows that it must have; looked at before anything is read.

    Raises:
        SubmissionError: not Parquet, another number of rows, repeated or too many columns, columns of other types.
    """
    try:
        with pq.ParquetFile(path) as file:
            _check_schema(path, file, rows)  # from the footer alone
            texts = [field.name for field in file.schema_arrow if _is_text(field.type)]
        # As dictionaries: a column that repeats one long text would otherwise take its length times the rows.
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            table = file.read(use_threads=False)
    except (OSError, ValueError, pa.ArrowException, MemoryError) as error:
        if isinstance(error, SubmissionError):
            raise
        raise SubmissionError(f"{path}: not readable as Parquet: {' '.join(str(error).split())}") from error
    if table.num_rows != rows:
        raise SubmissionError(f"{path}: {table.num_rows} rows, the split has {rows} structures")
    for name in texts:
        for chunk in table[name].chunks:
            if any(len(value) > TEXT_LENGTH for value in chunk.dictionary.to_pylist()):
                raise SubmissionError(f"{path}: column {name!r} holds a text of more than {TEXT_LENGTH} characters")
    content = table.replace_schema_metadata(None).to_pandas()
    return content.astype(dict.fromkeys(texts, object))


def _check_schema(path: Path, file: pq.ParquetFile, rows: int) -> None:
    meta, schema = file.metadata, file.schema_arrow
    # The file's total and those of its row groups are separate fields, which a made-up footer may contradict.
    if meta.num_rows != rows or sum(meta.row_group(k).num_rows for k in range(meta.num_row_groups)) != rows:
        raise SubmissionError(f"{path}: {meta.num_rows} rows, the split has {rows} structures (one row each)")
    if len(schema.names) > TABLE_COLUMNS or len(set(schema.names)) < len(schema.names):
        raise SubmissionError(f"{path}: {len(schema.names)} columns, some of them repeated or too many")
    for field in schema:
        kind = field.type
        plain = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or _is_text(kind)
        if not plain:
            raise SubmissionError(f"{path}: column {field.name!r} has type {kind}; numbers, booleans and texts only")


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return bool(pa.types.is_string(kind.value_type))
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
