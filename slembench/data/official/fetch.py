"""Download of an official set's published file, or instructions where a browser or an account is needed."""

from __future__ import annotations

import logging
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path

from slembench.core.assets import user_data_folder
from slembench.core.errors import DataError
from slembench.core.files import atomic_folder, sha256
from slembench.data.official.download import check_file, download
from slembench.data.official_card import OfficialCard, RemoteFile, load_official

logger = logging.getLogger(__name__)

FOLDER = "_downloads"
"""Below `user_data_folder`; sets that share a file share it here too."""

_TAR = (".tgz", ".tar", ".gz")
_UNPACKED = (*_TAR, ".zip")


def fetch(name: str, address: str | None = None) -> Path:
    """Have the published file of an official set on this machine, checked and unpacked.

    Args:
        name: the set.
        address: another address of its file, such as a mirror's; checked like the published one.

    Returns:
        What `import_official` takes: the file, or the folder that an archive was unpacked into.

    Raises:
        DataError: no such set; a person is needed, and the message says for what and where to put the file; a download
            that failed, or a file that is not the published one.
    """
    card = load_official(name)
    place = file_place(card)
    if place.is_file():
        _check_present(card.publication.file, place)
        logger.info("%s: is there already", place)
    else:
        _download(card, place, address)
    unpack(place)
    return fetched(name)


def fetched(name: str) -> Path:
    """File or folder of an official set that `fetch` downloaded, to be imported.

    Raises:
        DataError: it is not there; says how to get it.
    """
    card = load_official(name)
    place = file_place(card)
    if not place.is_file():
        raise DataError(f"{place}: no such file; {instructions(card)}")
    return _unpacked(place) if _is_archive(place) else place


def file_place(card: OfficialCard) -> Path:
    """Where the published file of a set is kept on this machine."""
    return user_data_folder() / FOLDER / card.publication.file.name


def instructions(card: OfficialCard) -> str:
    """How to get the published file, one sentence."""
    file = card.publication.file
    if file.access == "direct":
        return f"run `slembench data get {card.name}`"
    then = f"save it as {file_place(card)}, then run `slembench data get {card.name}`"
    if file.access == "unknown":
        return (
            f"no address of it could be confirmed (see {card.publication.page}); if you have the data, run"
            f" `slembench data get {card.name} --from PATH`"
        )
    what = "an account is needed" if file.access == "login" else "a browser is needed"
    return f"{what}: open {file.address}, {then}"


def unpack(place: Path) -> None:
    """Unpack an archive beside itself, whole or not at all; nothing is done for other files or where it was done.

    Raises:
        DataError: a damaged archive, or one that would write elsewhere.
    """
    folder = _unpack_folder(place)
    if not _is_archive(place) or folder.is_dir():
        return
    logger.info("%s: unpacking", place)
    try:
        with atomic_folder(folder) as inside:
            if place.suffix in _TAR:
                # filter "data": no absolute paths, no "..", no links out of the folder, no devices
                shutil.unpack_archive(place, inside, "tar" if place.suffix == ".tar" else "gztar", filter="data")
            else:
                shutil.unpack_archive(place, inside, "zip")
    except (OSError, ValueError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{place}: not readable as an archive (damaged); remove it and fetch it again: {error}"
        ) from error


def _download(card: OfficialCard, place: Path, address: str | None) -> None:
    file = card.publication.file
    if address is None and (file.access != "direct" or file.address is None):
        raise DataError(f"{card.name}: {instructions(card)}")
    source = address or str(file.address)
    logger.info("%s -> %s", source, place)
    download(source, place, file.checksum, file.bytes)
    if file.checksum is None:
        logger.info("%s: no checksum is published; sha256 of what arrived: %s", place, sha256(place))


def _check_present(file: RemoteFile, place: Path) -> None:
    import pooch

    check_file(place, place.suffix, file.bytes, str(place))
    if file.checksum is not None:
        kind, _, wanted = file.checksum.partition(":")
        found = pooch.file_hash(str(place), alg=kind)
        if found != wanted:
            raise DataError(
                f"{place}: {kind} {found} is not the published {wanted}; remove the file and fetch it again"
            )


def _is_archive(place: Path) -> bool:
    return place.suffix in _UNPACKED


def _unpack_folder(place: Path) -> Path:
    return place.with_name(place.stem)


def _unpacked(place: Path) -> Path:
    """Folder of an unpacked archive, or the only folder in it."""
    folder = _unpack_folder(place)
    if not folder.is_dir():
        unpack(place)
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder
