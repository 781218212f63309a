import hashlib

import pytest

from slembench.core.errors import ConfigError, DataError
from slembench.core.files import atomic_file, atomic_folder, file_lock, sha256, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_file_appears_whole_with_its_folder(tmp_path):
    target = tmp_path / "new" / "a.txt"
    with atomic_file(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    assert names(target.parent) == ["a.txt"]


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError, match="stop"), atomic_file(target) as temporary:
        temporary.write_text("new")
        raise RuntimeError("stop")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_folder_appears_whole(tmp_path):
    with atomic_folder(tmp_path / "d") as temporary:
        (temporary / "a").write_text("1")
        assert not (tmp_path / "d").exists()
    assert names(tmp_path) == ["d"]
    assert (tmp_path / "d" / "a").read_text() == "1"


def test_failed_folder_leaves_the_old_one(tmp_path):
    target = tmp_path / "d"
    write_text(target / "a", "old")
    with pytest.raises(RuntimeError, match="stop"), atomic_folder(target, replace=True) as temporary:
        (temporary / "b").write_text("new")
        raise RuntimeError("stop")
    assert names(tmp_path) == ["d"]
    assert names(target) == ["a"]


def test_folder_is_replaced_only_on_request(tmp_path):
    target = tmp_path / "d"
    write_text(target / "a", "old")
    with pytest.raises(FileExistsError, match="exists already"), atomic_folder(target):
        pytest.fail("the block must not run")
    with atomic_folder(target, replace=True) as temporary:
        (temporary / "b").write_text("new")
    assert names(tmp_path) == ["d"]
    assert names(target) == ["b"]


def test_sha256(tmp_path):
    path = write_text(tmp_path / "a.txt", "Å" * 1000)
    assert sha256(path) == hashlib.sha256(("Å" * 1000).encode()).hexdigest()


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    write_text(tmp_path / "a", "text")
    with pytest.raises(ConfigError, match="folder .*/a cannot be made: "):
        write_text(tmp_path / "a" / "b", "x")
    assert (tmp_path / "a").read_text() == "text"


def test_one_process_at_a_time_and_the_mark_goes(tmp_path):
    with file_lock(tmp_path / "set", "importing"):
        with pytest.raises(DataError, match="another process is importing"), file_lock(tmp_path / "set", "importing"):
            pass
        with file_lock(tmp_path / "other", "importing"):
            pass
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyError), file_lock(tmp_path / "set", "importing"):
        raise KeyError
    with file_lock(tmp_path / "set", "importing"):
        pass
