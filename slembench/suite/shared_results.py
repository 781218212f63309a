"""Results that all workers of pytest-xdist need and only one computes: a JSON file each, behind a file lock.

Session fixtures of pytest are made once in every worker; a training in each of them would cost as many times as much.
"""

from __future__ import annotations

import fcntl
import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slembench.core.errors import SlembenchError
from slembench.core.files import write_text


class ComputationError(SlembenchError):
    """The computation of a shared result failed, in this process or in another one.

    Attributes:
        trace: the traceback as text.
    """

    def __init__(self, reason: str, trace: str) -> None:
        super().__init__(reason)
        self.trace = trace


class SharedResults:
    """Named results in a folder that all processes of a session share.

    Args:
        folder: must exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, name: str, compute: Callable[[], Any]) -> Any:
        """A result: read where a process has computed it, waited for while one does, else computed.

        Args:
            name: of the result, a word.
            compute: returns JSON values; whatever it raises is kept and raised in all processes.

        Raises:
            ComputationError: the computation failed; it is not tried again.

        Example:
            >>> import tempfile
            >>> results = SharedResults(Path(tempfile.mkdtemp()))
            >>> results.get("answer", lambda: 6 * 7)
            42
            >>> results.get("answer", lambda: 0)  # not computed again
            42
        """
        file = self.folder / f"{name}.json"
        with (self.folder / f"{name}.lock").open("w") as lock:
            # held during the computation: the others wait here. The kernel frees it when a process dies.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.is_file():
                write_text(file, json.dumps(_attempt(compute)))
        content = json.loads(file.read_text(encoding="utf-8"))
        if "reason" in content:
            raise ComputationError(content["reason"], content["trace"])
        return content["result"]


def _attempt(compute: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"result": compute()}
    except Exception as error:  # a model of any origin may raise anything
        return {"reason": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
