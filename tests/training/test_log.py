from slembench.training.log import JsonLog


def test_rows_read_back_to_the_bit(tmp_path):
    log = JsonLog(tmp_path / "log.jsonl")
    value = 0.1 + 0.2
    log.write("train", 1, loss=value)
    log.write("validation", 1, loss=1 / 3)
    assert log.rows("train") == [{"event": "train", "step": 1, "loss": value}]
    assert [row["event"] for row in log.rows()] == ["train", "validation"]


def test_cut_back_drops_later_rows_and_a_torn_line(tmp_path):
    log = JsonLog(tmp_path / "log.jsonl")
    for step in range(10):
        log.write("train", step)
    with log.path.open("a") as file:
        file.write('{"event": "train", "st')
    log.cut_back(6)
    assert [row["step"] for row in log.rows()] == list(range(7))
    assert [p.name for p in tmp_path.iterdir()] == ["log.jsonl"]
    log.write("train", 7)
    assert log.path.read_text().count("\n") == 8


def test_no_file_is_an_empty_log(tmp_path):
    assert JsonLog(tmp_path / "none.jsonl").rows() == []
