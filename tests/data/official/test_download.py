"""Downloads from a server on this machine that can resume, break off, forget, or answer with a page."""

import hashlib

import pytest

from slembench.core.errors import DataError
from slembench.data.official import download as module
from slembench.data.official.download import check_file, download

BODY = b"PK" + bytes(range(256)) * 4000  # what the server holds
SHA = "sha256:" + hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_whole_file_with_progress(server, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(module.ProgressBar, "update", lambda bar, completed, total: seen.append((completed, total)))
    target = download(server.address, tmp_path / "new" / "file.zip", SHA, len(BODY))
    assert target.read_bytes() == BODY
    assert names(target.parent) == ["file.zip"]
    assert seen[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_broken_connection_is_taken_up_again(server, tmp_path):
    server.breaks = [100_000, 300_000]
    download(server.address, tmp_path / "file.zip", SHA)
    assert (tmp_path / "file.zip").read_bytes() == BODY
    assert server.asked == [None, "bytes=65536-", "bytes=327680-"]


def test_second_call_goes_on_where_the_first_broke(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 0)
    server.breaks = [250_000]
    with pytest.raises(DataError, match="the connection broke after 196608 bytes; they are kept, run again to go on"):
        download(server.address, tmp_path / "file.zip", SHA)
    assert names(tmp_path) == [".file.zip.part", ".file.zip.part.json"]
    download(server.address, tmp_path / "file.zip", SHA)
    assert server.asked == [None, "bytes=196608-"]
    assert names(tmp_path) == ["file.zip"]
    assert (tmp_path / "file.zip").read_bytes() == BODY


def test_all_bytes_there_but_not_yet_named(server, tmp_path, monkeypatch):
    real = module.check_file
    monkeypatch.setattr(module, "check_file", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        download(server.address, tmp_path / "file.zip", SHA)
    monkeypatch.setattr(module, "check_file", real)
    download(server.address, tmp_path / "file.zip", SHA)
    assert server.asked == [None]
    assert (tmp_path / "file.zip").read_bytes() == BODY


def interrupted(server, folder):
    """Leave the first 250,000 bytes of a download behind."""
    server.breaks = [250_000]
    with pytest.MonkeyPatch.context() as patch, pytest.raises(DataError, match="broke after"):
        patch.setattr(module, "ATTEMPTS", 0)
        download(server.address, folder / "file.zip")


@pytest.mark.parametrize("etag", ['"2"', None])
def test_file_that_changed_is_fetched_anew(server, tmp_path, etag):
    interrupted(server, tmp_path)
    server.body, server.etag = b"PK" + bytes(1_000_000), etag
    download(server.address, tmp_path / "file.zip", size=len(server.body))
    assert (tmp_path / "file.zip").read_bytes() == server.body


def test_server_that_cannot_resume_begins_anew(server, tmp_path):
    interrupted(server, tmp_path)
    server.ranges = False
    download(server.address, tmp_path / "file.zip", SHA)
    assert (tmp_path / "file.zip").read_bytes() == BODY


def test_remains_of_another_address_are_not_used(server, tmp_path):
    interrupted(server, tmp_path)
    download(server.address + "?mirror", tmp_path / "file.zip", SHA)
    assert server.asked == [None, None]


def test_server_that_does_not_say_the_size(server, tmp_path):
    server.length = False
    download(server.address, tmp_path / "file.zip", SHA)
    assert (tmp_path / "file.zip").read_bytes() == BODY


def test_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(DataError, match=r"does not have the published checksum sha256:0000.* thrown away"):
        download(server.address, tmp_path / "file.zip", "sha256:" + "0" * 64)
    assert names(tmp_path) == []


def test_md5_as_zenodo_publishes_it(server, tmp_path):
    download(server.address, tmp_path / "file.zip", "md5:" + hashlib.md5(BODY).hexdigest())
    with pytest.raises(DataError, match="published checksum md5:"):
        download(server.address, tmp_path / "other.zip", "md5:" + "0" * 32)


def test_wrong_size_leaves_nothing(server, tmp_path):
    with pytest.raises(DataError, match=rf"has {len(BODY)} bytes, the published file 7"):
        download(server.address, tmp_path / "file.zip", size=7)
    assert names(tmp_path) == []


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>Sign in</html>", b"\n  <html><body>Virus scan</body></html>"])
def test_page_in_place_of_data(server, tmp_path, kind, page):
    server.body, server.kind = page, kind
    with pytest.raises(DataError, match="answers with a web page, not with the file.*open it in a browser"):
        download(server.address, tmp_path / "file.zip")
    assert names(tmp_path) == []


def test_file_of_another_kind(server, tmp_path):
    server.body = b'{"message": "not found"}'
    with pytest.raises(DataError, match=r"is no .zip file \(begins with b'{\"message\""):
        download(server.address, tmp_path / "file.zip")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "wants a login"),
        (403, "wants a login"),
        (404, "nothing at this address"),
        (410, "nothing at this address"),
        (418, "unexpected answer HTTP 418"),
        (503, "no connection: HTTP 503"),
    ],
)
def test_refusals(server, tmp_path, status, message):
    server.status = status
    with pytest.raises(DataError, match=message):
        download(server.address, tmp_path / "file.zip")
    assert names(tmp_path) == []
    assert len(server.asked) == (module.ATTEMPTS if status == 503 else 1)


def test_nobody_answers(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 2)
    with pytest.raises(DataError, match="no connection"):
        download("http://127.0.0.1:9/file.zip", tmp_path / "file.zip")
    with pytest.raises(DataError, match="no connection"):
        download("nonsense", tmp_path / "file.zip")
    assert names(tmp_path) == []


def test_too_little_room(server, tmp_path, monkeypatch):
    usage = module.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DataError, match=r"GB are to come, 0.0 GB are free"):
        download(server.address, tmp_path / "file.zip")
    assert names(tmp_path) == []


def test_two_at_a_time_are_refused(server, tmp_path):
    import fcntl

    with (tmp_path / ".file.zip.part").open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another process is downloading"):
            download(server.address, tmp_path / "file.zip")


def test_users_file_stays_when_it_is_refused(tmp_path):
    file = tmp_path / "QH9Stable.db"
    file.write_text("<html>confirm</html>")
    with pytest.raises(DataError, match="web page"):
        check_file(file, ".db", None, str(file))
    assert file.is_file()
