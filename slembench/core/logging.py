"""Messages of the package: every module logs to ``logging.getLogger(__name__)``, and a command shows them on stderr.

Python programs that import slembench see warnings alone, unless they configure `logging` themselves.
"""

from __future__ import annotations

import logging
import sys

LEVELS = {-1: logging.WARNING, 0: logging.INFO, 1: logging.DEBUG}
"""Verbosity of a command -> lowest level that is shown."""


class StderrHandler(logging.Handler):
    """Writes a line to what ``sys.stderr`` is when a message comes, not to what it was when the handler was made.

    A progress bar puts a proxy there that prints lines above the bar, and tests capture it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write the message, at once."""
        print(self.format(record), file=sys.stderr, flush=True)


class PlainFormatter(logging.Formatter):
    """The message alone; a warning or an error says what it is."""

    def format(self, record: logging.LogRecord) -> str:
        """One line: ``[warning: ][HH:MM:SS ]message``."""
        text = super().format(record)
        if record.levelno < logging.WARNING:
            return text
        return f"{record.levelname.lower()}: {text}"


def configure(verbosity: int | None = None, times: bool = False) -> logging.Logger:
    """Show the package's messages on standard error as plain lines; called once by every command.

    Args:
        verbosity: -1 for warnings alone, 0 for progress messages too, 1 for details; None keeps what was set, 0 at
            first.
        times: begin every line with the time of day.

    Returns:
        The logger ``slembench``. Called again, it changes the settings and adds no second handler.

    Example:
        >>> import contextlib, sys
        >>> logger = configure()
        >>> with contextlib.redirect_stderr(sys.stdout):
        ...     logging.getLogger("slembench.data").info("%d structures read", 3)
        ...     logging.getLogger("slembench.data").warning("no checksum is published")
        ...     logging.getLogger("slembench.data").debug("a detail")
        3 structures read
        warning: no checksum is published
    """
    logger = logging.getLogger("slembench")
    handler = next((h for h in logger.handlers if isinstance(h, StderrHandler)), None)
    if handler is None:
        verbosity = verbosity or 0
        handler = StderrHandler()
        logger.addHandler(handler)
    handler.setFormatter(PlainFormatter("%(asctime)s %(message)s" if times else "%(message)s", datefmt="%H:%M:%S"))
    if verbosity is not None:
        logger.setLevel(LEVELS[max(-1, min(verbosity, 1))])
    return logger
