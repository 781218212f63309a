"""Results that several processes need and that only one of them computes: a JSON file each, behind a lock."""

from __future__ import annotations

import fcntl
import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slembench.core.files import write_text


class Failure(Exception):
    """The computation failed, in this process or in another one.

    Attributes:
        trace: the traceback as text.
    """

    def __init__(self, reason: str, trace: str) -> None:
        super().__init__(reason)
        self.trace = trace


class Shared:
    """Results in a folder that all processes of a session can write to.

    Args:
        folder: must exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, name: str, compute: Callable[[], Any]) -> Any:
        """A result; computed where no process has done so yet, waited for where one is at it.

        Args:
            name: of the result, a word.
            compute: gives JSON values; whatever it raises is kept and raised in all processes.

        Raises:
            Failure: the computation failed; it is not tried again.
        """
        file = self.folder / f"{name}.json"
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.is_file():
                write_text(file, json.dumps(_attempt(compute)))
        content = json.loads(file.read_text(encoding="utf-8"))
        if "reason" in content:
            raise Failure(content["reason"], content["trace"])
        return content["result"]


def _attempt(compute: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"result": compute()}
    except Exception as error:  # a model of any origin may raise anything
        return {"reason": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
