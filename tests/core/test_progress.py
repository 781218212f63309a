"""Items pass through unchanged; a bar shows on terminals alone."""

from rich.console import Console

from slembench.core.progress import bar


def test_items_pass_and_nothing_is_written_where_there_is_no_terminal(capsys):
    assert list(bar([3, 1, 2], "work")) == [3, 1, 2]
    assert list(bar(iter("ab"), "work", 2)) == ["a", "b"]
    assert capsys.readouterr() == ("", "")


def test_a_terminal_sees_the_text(monkeypatch, capsys):
    monkeypatch.setattr("rich.console.Console", lambda **given: Console(**given, force_terminal=True))
    assert list(bar(range(3), "work", 3)) == [0, 1, 2]
    assert "work" in capsys.readouterr().err
