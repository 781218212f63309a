"""The published file of an official set: downloaded, refused with a word on what to do, unpacked."""

import hashlib
import io
import tarfile
import zipfile

import pytest
import yaml

from slembench.core.assets import asset_path
from slembench.core.errors import DataError
from slembench.data.official.fetch import fetch, fetched


def zipped(**files):
    """Bytes of a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/") + ".dat", text)
    return buffer.getvalue()


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Function that puts an official set "mine" with a file of these properties on the user's shelf."""
    monkeypatch.setenv("SLEMBENCH_DATA", str(tmp_path))

    def publish(**file):
        content = yaml.safe_load(asset_path("datasets", "deeph-mos2", "card.yaml").read_text())
        content["name"] = "mine"
        content["publication"]["file"] |= file
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "card.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        return tmp_path / "_downloads"

    return publish


def test_archive_is_fetched_checked_and_unpacked(server, publish, logged):
    server.body = zipped(set__a="1", set__b="2")
    folder = publish(name="set.zip", address=server.address, checksum=f"md5:{hashlib.md5(server.body).hexdigest()}")
    place = fetch("mine")
    assert place == folder / "set" / "set"
    assert sorted(file.name for file in place.iterdir()) == ["a.dat", "b.dat"]
    assert fetched("mine") == place
    fetch("mine")
    assert len(server.asked) == 1
    assert logged.messages[-1] == f"{folder / 'set.zip'}: is there already"


def test_sha256_is_told_where_none_is_published(server, publish, logged):
    server.body = zipped(a="1")
    publish(name="set.zip", address=server.address)
    place = fetch("mine")
    assert hashlib.sha256(server.body).hexdigest() in logged.text
    assert [file.name for file in place.iterdir()] == ["a.dat"]


def test_database_is_not_unpacked(server, publish, logged):
    server.body = b"SQLite format 3\0" + bytes(100)
    folder = publish(name="set.db", address=server.address)
    assert fetch("mine") == folder / "set.db"


@pytest.mark.parametrize(
    ("access", "message"),
    [
        ("browser", r"mine: a browser is needed: open http://\S+/file.zip, save it as .*_downloads/set.zip, then"
         " run `slembench data get mine`"),
        ("login", r"mine: an account is needed: open http"),
        ("unknown", "mine: no address of it could be confirmed"),
    ],
)  # fmt: skip
def test_person_is_needed(server, publish, access, message):
    publish(name="set.zip", address=None if access == "unknown" else server.address, access=access)
    with pytest.raises(DataError, match=message):
        fetch("mine")
    assert server.asked == []
    server.body = zipped(a="1")
    assert fetch("mine", server.address).name == "set"


def test_file_that_a_person_saved(publish):
    folder = publish(name="set.zip", access="browser", checksum=f"md5:{hashlib.md5(zipped(a='1')).hexdigest()}")
    with pytest.raises(DataError, match="set.zip: no such file; a browser is needed: open"):
        fetched("mine")
    folder.mkdir()
    (folder / "set.zip").write_bytes(zipped(a="1"))
    assert fetched("mine") == folder / "set"
    assert fetch("mine") == folder / "set"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>Download anyway</html>", "web page"),
        (b"PK and something else", "is not the published"),
        (b"{}", "is no .zip file"),
    ],
)
def test_wrong_file_that_a_person_saved_is_refused_and_kept(publish, content, message):
    folder = publish(name="set.zip", access="browser", checksum=f"md5:{hashlib.md5(b'right').hexdigest()}")
    folder.mkdir()
    (folder / "set.zip").write_bytes(content)
    with pytest.raises(DataError, match=message):
        fetch("mine")
    assert (folder / "set.zip").read_bytes() == content


def test_damaged_archive_leaves_no_folder(server, publish):
    server.body = zipped(a="1" * 1000)[:-30]
    folder = publish(name="set.zip", address=server.address)
    with pytest.raises(DataError, match="not readable as an archive"):
        fetch("mine")
    assert [file.name for file in folder.iterdir()] == ["set.zip"]


def test_archive_that_writes_elsewhere_is_refused(server, publish, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("../../escaped.dat")
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"1"))
    server.body = buffer.getvalue()
    publish(name="set.tgz", address=server.address)
    with pytest.raises(DataError, match="not readable as an archive.*outside"):
        fetch("mine")
    assert not list(tmp_path.rglob("escaped.dat"))


def test_unknown_set():
    with pytest.raises(DataError, match="no official data set 'mos2-mini'"):
        fetch("mos2-mini")
