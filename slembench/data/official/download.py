"""One file over HTTP: resumed where it was cut off, never a page in place of data, checked before it gets its name.

What has arrived is kept in a hidden file beside the place where the whole one goes, with what the server said of it;
pooch compares the checksum and moves the file.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from slembench.core.errors import DataError
from slembench.core.files import write_text
from slembench.core.progress import ProgressBar

ATTEMPTS = 5
"""Times that a broken connection is taken up again within one call, as long as each brings something."""

CHUNK = 1 << 16
"""Bytes read at a time; fewer are lost when a connection breaks."""
MAGIC = {".db": b"SQLite format 3\0", ".zip": b"PK", ".tgz": b"\x1f\x8b", ".gz": b"\x1f\x8b"}
"""File name ending -> bytes with which such a file begins."""


@dataclass(frozen=True)
class _Version:
    """Version of the remote file: validators of the HTTP answer and the size, compared before a download is resumed."""

    address: str
    etag: str | None = None
    modified: str | None = None
    total: int | None = None


class Broken(Exception):
    """The connection ended before the file did."""


def download(
    address: str,
    target: Path,
    checksum: str | None = None,
    size: int | None = None,
) -> Path:
    """Download one file; it appears at ``target`` whole and checked, or not at all.

    Args:
        address: http or https.
        target: final path.
        checksum: "md5:..." or "sha256:..."; None if none is published.
        size: bytes, where they are known.

    Raises:
        DataError: no connection, a login or a page in the way, too little room on the disk, a connection that broke
            (run again to go on), another size or checksum than the published one.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")

    def fetch(url: str, output: str | Path, _: Any) -> None:
        try:
            with ProgressBar(target.name, size, unit="bytes") as bar:
                _receive(url, part, bar)
        finally:
            if part.stat().st_size == 0:
                _remove(part)
        try:
            check_file(part, target.suffix, size, address)
        except DataError:
            _remove(part)
            raise
        part.replace(output)
        _remove(part)

    try:
        pooch.retrieve(address, checksum, fname=target.name, path=target.parent, downloader=fetch)
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{address}: what arrived does not have the published checksum {checksum} and was thrown away; fetch it"
            " again, and if that does not help, the file or the card is not up to date"
        ) from error
    return target


def check_file(path: Path, suffix: str, size: int | None, origin: str) -> None:
    """Refuse a file that is no file of its kind, or of another size.

    Raises:
        DataError: a web page, other first bytes than the name's ending asks for, or another size; names ``origin``.
    """
    with path.open("rb") as stream:
        head = stream.read(512)
    if is_page(head):
        raise DataError(page_problem(origin))
    magic = MAGIC.get(suffix, b"")
    if not head.startswith(magic):
        raise DataError(f"{origin}: is no {suffix} file (begins with {head[:16]!r})")
    if size is not None and path.stat().st_size != size:
        raise DataError(f"{origin}: has {path.stat().st_size} bytes, the published file {size}")


def is_page(head: bytes) -> bool:
    """Whether bytes begin a web page."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<script"))


def page_problem(address: str) -> str:
    """Error text for an address that answers with a web page."""
    return (
        f"{address}: answers with a web page, not with the file: it wants a confirmation or a login; open it in a"
        " browser and save the file"
    )


def _receive(address: str, part: Path, bar: ProgressBar) -> None:
    """Bring ``part`` to its full length."""
    import requests

    with part.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(f"{part}: another process is downloading this file") from error
        idle = 0
        while True:
            before = stream.tell()
            try:
                _receive_once(address, part, stream, bar)
                return
            except (requests.RequestException, Broken) as error:
                # attempts without a single new byte count; the wait doubles up to ten seconds
                idle = 0 if stream.tell() > before else idle + 1
                if idle >= ATTEMPTS or isinstance(error, ValueError | requests.TooManyRedirects):
                    raise DataError(_broken(address, stream.tell(), error)) from error
                time.sleep(min(0.2 * 2**idle, 10))


def _broken(address: str, done: int, error: Exception) -> str:
    if not done:
        return f"{address}: no connection: {error}"
    return f"{address}: the connection broke after {done} bytes; they are kept, run again to go on ({error})"


def _receive_once(address: str, part: Path, stream: IO[bytes], bar: ProgressBar) -> None:
    import requests

    done, known = stream.tell(), _read_marks(part)
    headers = {"Accept-Encoding": "identity"}  # compressed on the way, byte ranges would mean something else
    if done and known is not None and known.total == done:
        return
    if done and known is not None and known.address == address:
        headers["Range"] = f"bytes={done}-"
        # If-Range: the server sends the whole file (200) if it has changed, the rest of it (206) if not
        if (mark := known.etag or known.modified) is not None:
            headers["If-Range"] = mark
    with requests.get(address, headers=headers, stream=True, timeout=(20, 60)) as answer:
        _refuse(address, answer.status_code, answer.headers.get("Content-Type", ""))
        version = _Version(
            address, _strong(answer.headers.get("ETag")), answer.headers.get("Last-Modified"), _total(answer, done)
        )
        resumed = answer.status_code == 206 and known is not None and known.total in (None, version.total)
        if (answer.status_code == 206 and not resumed) or answer.status_code == 416:
            _forget(part, stream)
            raise Broken("the file on the server has changed")
        if not resumed:
            _forget(part, stream)
            done = 0
        _room(part, version.total, done)
        write_text(_marks(part), json.dumps(asdict(version)))
        for chunk in answer.iter_content(CHUNK):
            # a login page in place of data comes with status 200, and some servers call it octet-stream
            if not done and is_page(chunk):
                raise DataError(page_problem(address))
            stream.write(chunk)
            done += len(chunk)
            bar.update(done, total=version.total)
        stream.flush()
        if version.total is not None and done != version.total:
            raise Broken(f"{done} of {version.total} bytes")


def _refuse(address: str, status: int, kind: str) -> None:
    """Errors that trying again does not mend."""
    if status in (401, 403):
        raise DataError(f"{address}: the server wants a login (HTTP {status}); get the file with a browser")
    if status in (404, 410):
        raise DataError(f"{address}: there is nothing at this address (HTTP {status}); the card may be out of date")
    if status == 429 or status >= 500:
        raise Broken(f"HTTP {status}")
    if status not in (200, 206, 416):
        raise DataError(f"{address}: unexpected answer HTTP {status}")
    if status == 200 and kind.split(";")[0].strip().lower() == "text/html":
        raise DataError(page_problem(address))


def _total(answer: Any, done: int) -> int | None:
    """Bytes of the whole file; None where the answer does not state them, or is another range than was asked for."""
    if answer.status_code == 206:
        start, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        return int(total) if total.isdigit() and start.startswith(f"{done}-") else None
    encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdigit() and not encoded else None


def _strong(etag: str | None) -> str | None:
    """An ETag that holds byte for byte; weak ones (W/...) promise only the same meaning, and do not allow ranges."""
    return None if etag is None or etag.startswith("W/") else etag


def _room(part: Path, total: int | None, done: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - done > free:
        raise DataError(f"{part.parent}: {(total - done) / 1e9:.1f} GB are to come, {free / 1e9:.1f} GB are free")


def _marks(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _read_marks(part: Path) -> _Version | None:
    try:
        return _Version(**json.loads(_marks(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _forget(part: Path, stream: IO[bytes]) -> None:
    """Delete the partial download."""
    stream.seek(0)
    stream.truncate()
    _marks(part).unlink(missing_ok=True)


def _remove(part: Path) -> None:
    part.unlink(missing_ok=True)
    _marks(part).unlink(missing_ok=True)
