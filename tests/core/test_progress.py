"""Items pass through unchanged; a bar shows on terminals alone, and one bar may stand in another."""

import logging

import pytest
from rich.console import Console

from slembench.core.logging import configure
from slembench.core.progress import ProgressBar, _Display, progress


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr("rich.console.Console", lambda **given: Console(**given, force_terminal=True, width=120))


def test_items_pass_and_nothing_is_written_where_there_is_no_terminal(capsys):
    assert list(progress([3, 1, 2], "work")) == [3, 1, 2]
    assert list(progress(iter("ab"), "work", 2)) == ["a", "b"]
    assert capsys.readouterr() == ("", "")


def test_a_terminal_sees_the_text(terminal, capsys):
    assert list(progress(range(3), "work [on 1]", 3)) == [0, 1, 2]
    assert "work [on 1]" in capsys.readouterr().err
    assert list(progress(range(3), "work", 3, show=False)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_bars_inside_one_another_share_a_display_that_ends_with_the_last(terminal, capsys):
    for _ in progress(range(2), "outer"):
        with ProgressBar("inner", total=1.0, unit="fraction") as bar:
            assert _Display.shown is not None
            assert len(_Display.shown.tasks) == 2
            bar.update(0.5, "inner, step 7")
            assert _Display.shown.tasks[1].fields["amount"] == "50 %"
        assert len(_Display.shown.tasks) == 1
    assert _Display.shown is None
    assert "inner" in capsys.readouterr().err


def test_an_error_or_a_break_takes_the_bar_away(terminal):
    with pytest.raises(ZeroDivisionError):
        for item in progress(range(3), "work"):
            item / 0
    # the generator is closed when it is collected, which CPython does at once
    assert _Display.shown is None


def test_a_message_stands_above_the_bar_as_a_line_of_its_own(terminal, capsys):
    configure()
    for _ in progress(range(1), "work"):
        logging.getLogger("slembench.data").info("a message [with brackets]")
    assert "a message [with brackets]\n" in capsys.readouterr().err


def test_configure_twice_shows_a_message_once(capsys):
    configure()
    logger = configure()
    logger.info("once")
    logger.debug("a detail")
    assert capsys.readouterr() == ("", "once\n")
    configure(-1)
    logger.info("not shown")
    logger.warning("look here")
    assert capsys.readouterr() == ("", "warning: look here\n")
    configure(1, times=True)
    logger.debug("now")
    assert capsys.readouterr().err.endswith(" now\n")
    configure()
