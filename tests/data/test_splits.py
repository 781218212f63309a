import pytest

from slembench.core.errors import DataError
from slembench.data.splits import PARTITIONS, check_splits, partition, read_splits, shuffled, write_splits

IDS = [f"s{k}" for k in range(50)]


def test_written_splits_read_back(tmp_path):
    splits = {"train": IDS[:40], "test": IDS[40:]}
    assert read_splits(write_splits(tmp_path / "a" / "s.json", splits), IDS) == splits


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": ["s1", "s2", "s1"]}, "key 'train': listed twice: 's1'"),
        ({"train": ["s1", "s2"], "test": ["s2", "s3"]}, "key 'test': also in split 'train': 's2'"),
        ({"train": ["s1", "nobody"]}, "key 'train': not in the data set: 'nobody'"),
        ({"train": IDS[:9], "val": [], "test": IDS[:9]}, "'s0', 's1', 's2', 's3', 's4' and 4 more"),
    ],
)
def test_bad_splits_name_file_split_and_ids(splits, message):
    with pytest.raises(DataError) as caught:
        check_splits(splits, IDS, "f.json")
    assert str(caught.value).startswith("f.json: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not readable as JSON"), ("[]", "must map"), ('{"train": "s1"}', "key 'train'"), ('{"a": [1]}', "key 'a'")],
)
def test_file_of_another_form(tmp_path, text, message):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(DataError, match=message):
        read_splits(tmp_path / "s.json", IDS)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"nothing.json: no such file"):
        read_splits(tmp_path / "nothing.json", IDS)


def test_partitions_are_nested_and_do_not_depend_on_order():
    subsets = {percent: partition(IDS, percent, seed=7) for percent in PARTITIONS}
    assert {percent: len(ids) for percent, ids in subsets.items()} == {100: 50, 80: 40, 60: 30, 40: 20, 20: 10}
    for large, small in zip(PARTITIONS[:-1], PARTITIONS[1:], strict=True):
        assert set(subsets[small]) < set(subsets[large])
    assert subsets[100] != sorted(IDS)
    assert partition(IDS[::-1], 40, seed=7) == subsets[40]
    assert partition(IDS, 40, seed=8) != subsets[40]
    assert partition(["only"], 20, seed=1) == ["only"]


def test_permutation_never_changes():
    assert shuffled(list("abcdefgh"), 20) == list("fhabgecd")


def test_unknown_partition():
    with pytest.raises(DataError, match="partition 50 % does not exist; use one of 100, 80, 60, 40, 20"):
        partition(IDS, 50, seed=1)
