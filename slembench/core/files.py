"""Atomic writing of files and folders (temporary name, then rename), a lock between processes, and checksums."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slembench.core.errors import ConfigError, DataError


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Temporary file name in the folder of ``path``; what is written there becomes ``path`` at the end of the block.

    Args:
        path: final path; its folder is made where it is missing, an existing file is replaced at the end.

    Yields:
        Path to write to. After an error it is gone and ``path`` is as it was.

    Raises:
        ConfigError: the folder cannot be made.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "scores.txt"
        >>> with atomic_file(file) as temporary:
        ...     _ = temporary.write_text("1.7 meV")
        >>> file.read_text()
        '1.7 meV'
    """
    path, temporary = Path(path), _temporary(path)
    try:
        yield temporary
        # atomic within a file system: a reader sees the old file or the new one, never a part
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path, replace: bool = False) -> Iterator[Path]:
    """Temporary folder beside ``path`` that becomes ``path`` at the end of the block.

    Args:
        path: final path.
        replace: an existing folder is removed once the new one is complete; otherwise it is an error.

    Yields:
        Folder to write into. After an error it is gone and ``path`` is as it was.

    Raises:
        FileExistsError: ``path`` exists already and is not to be replaced.
    """
    path, temporary = Path(path), _temporary(path)
    if path.exists() and not replace:
        raise FileExistsError(f"{path} exists already; remove it first, or write somewhere else")
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            # a folder cannot be renamed onto one that holds files: the old one steps aside and is removed last
            old = _temporary(path)
            path.rename(old)
            temporary.rename(path)
            shutil.rmtree(old)
        else:
            temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def file_lock(path: str | Path, work: str) -> Iterator[None]:
    """Lock between processes: one at a time is in this block for ``path``. It is released when the process ends.

    Args:
        path: what is worked on; the lock file lies beside it.
        work: what the process does, for the error of the others, such as "importing into this folder".

    Raises:
        DataError: another process holds the lock.
    """
    path = Path(path)
    make_parent(path)
    name = path.with_name(f".{path.name}.lock")
    with name.open("w") as mark:
        try:
            # held by the open file: the system releases it even if the process is killed
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(f"{path}: another process is {work}; wait for it, or write somewhere else") from error
        try:
            yield
        finally:
            name.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write a UTF-8 file atomically; returns its path."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write a file atomically; returns its path.

    Example:
        >>> import tempfile
        >>> write_bytes(Path(tempfile.mkdtemp()) / "a" / "b.bin", b"123").read_bytes()
        b'123'
    """
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)
    return Path(path)


def sha256(path: str | Path) -> str:
    """sha256 of a file, hexadecimal.

    Example:
        >>> import tempfile
        >>> sha256(write_text(Path(tempfile.mkdtemp()) / "empty.txt", ""))[:16]
        'e3b0c44298fc1c14'
    """
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def make_parent(path: str | Path) -> None:
    """Make the folder that a file is to lie in.

    Raises:
        ConfigError: something that is no folder has its name, or it cannot be made.
    """
    parent = Path(path).parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: the folder {parent} cannot be made: {error.strerror}") from error


def _temporary(path: str | Path) -> Path:
    path = Path(path)
    make_parent(path)
    # in the same folder, since a rename across file systems is a copy; unique, since several processes may write
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
