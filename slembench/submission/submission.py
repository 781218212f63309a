"""The submission folder: what a stranger hands in for a row on the board.

``submission.yaml`` (`Submission`), ``per_structure.parquet`` (all scores follow from it) and the predictions, which lie
in the folder or at an address. Nothing in it is code, and nothing in it is run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from slembench.core.config import StrictModel, parse_config
from slembench.core.errors import SubmissionError
from slembench.core.files import write_text
from slembench.operators import Operator
from slembench.results.record import Cost, Hardware, RunRecord, ScoreValue
from slembench.submission.untrusted import YAML_BYTES, file_inside, read_yaml

SUBMISSION_FILE = "submission.yaml"

# Patterns and lengths limit what reaches a terminal, a file name or a web page: no control characters and no markup in
# names, no text of a megabyte.
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,79}$")]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SubmittedFile(StrictModel):
    """A file of the submission: in the folder or at an address, never both.

    Attributes:
        path: relative to the folder.
        address: https address; whoever checks fetches it and gives it to the checker.
        sha256: of its bytes.
    """

    path: Annotated[str, Field(max_length=200)] | None = None
    address: Annotated[str, Field(pattern=r"^https://[^\s]{1,500}$")] | None = None
    sha256: Digest

    @model_validator(mode="after")
    def _one_place(self) -> SubmittedFile:
        if (self.path is None) == (self.address is None):
            raise ValueError("give either 'path' or 'address'")
        return self


class Training(StrictModel):
    """How the model came to be.

    Attributes:
        data: what it was trained on, e.g. "train split of mos2-mini".
        budget: what it cost, e.g. "10000 steps" or "3 h on one GPU".
        n_train: training structures.
    """

    data: Text
    budget: Text
    n_train: int | None = Field(default=None, ge=0)


class Submission(StrictModel):
    """Content of ``submission.yaml``.

    Attributes:
        name: of the entry.
        model: name of the model.
        code_licence, weights_licence: SPDX words, or "none" where nothing is published.
        code: address of the code.
        inputs: what the model is given beyond the structure: S, H0 (a cheap Hamiltonian).
        seeds: of the training runs behind these predictions.
        references: papers, DOIs, addresses.
        dataset, dataset_revision, dataset_fingerprint, split, split_hash, targets: as in `RunRecord`.
        scores: name -> value and unit, as the submitter found them.
        missing: structures without a prediction; they count as zero.
        per_structure: the table; predictions: the file, absent where it cannot be given.
    """

    format: Literal["slembench-submission"] = "slembench-submission"
    version: Literal[1] = 1
    name: Word
    model: Word
    code_licence: Text
    weights_licence: Text
    code: Annotated[str, Field(pattern=r"^https://[^\s]{1,500}$")] | None = None
    inputs: tuple[Literal["S", "H0"], ...] = ()
    training: Training
    hardware: Hardware | None = None
    cost: Cost = Cost()
    seeds: tuple[int, ...] = ()
    references: tuple[Text, ...] = ()
    dataset: Word
    dataset_revision: int = Field(ge=0)
    dataset_fingerprint: Digest
    split: Word
    split_hash: Digest
    targets: Annotated[tuple[Operator, ...], Field(min_length=1)]
    scores: dict[str, ScoreValue]
    unavailable: dict[str, str] = Field(default_factory=dict)
    missing: tuple[Text, ...] = ()
    per_structure: SubmittedFile
    predictions: SubmittedFile | None = None

    @model_validator(mode="after")
    def _table_in_folder(self) -> Submission:
        if self.per_structure.path is None:
            raise ValueError("'per_structure' must lie in the folder: give its 'path'")
        return self

    def record(self, scores: dict[str, ScoreValue], unavailable: dict[str, str], evidence: str) -> RunRecord:
        """Record of the entry for the board, with the scores that the checker found."""
        # What only the author can know stands under config, as stated; scores are those that the checker found.
        stated: dict[str, Any] = {
            "inputs": list(self.inputs),
            "budget": self.training.budget,
            "seeds": list(self.seeds),
        }
        if self.training.n_train is not None:
            stated["n_train"] = self.training.n_train
        about = ("name", "model", "dataset", "dataset_revision", "dataset_fingerprint", "split", "split_hash")
        return RunRecord(
            **{key: getattr(self, key) for key in about},
            model_kind="model",
            config={"submission": self.name, "evidence": evidence} | stated,
            targets=self.targets,
            scores=scores,
            unavailable=unavailable,
            missing=self.missing,
            cost=self.cost,
            hardware=self.hardware,
        )


def read_submission(folder: str | Path) -> Submission:
    """Content of a folder's submission.yaml.

    Raises:
        SubmissionError: no such file, not plain YAML, an unknown, missing or ill-typed key; names file and key.
    """
    path = file_inside(Path(folder), SUBMISSION_FILE, YAML_BYTES)
    return submission_of(read_yaml(path), str(path))


def submission_of(content: Any, where: str) -> Submission:
    """Submission with the given content; a SubmissionError that names ``where`` and the key if it is not valid."""
    return parse_config(Submission, content, where, SubmissionError)


def write_submission(submission: Submission, folder: str | Path) -> Path:
    """Write ``folder``/submission.yaml atomically; returns its path."""
    content = submission.model_dump(mode="json", exclude_none=True)
    text = yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True)
    return write_text(Path(folder) / SUBMISSION_FILE, text)


def submission_schema() -> dict[str, Any]:
    """JSON schema of ``submission.yaml``."""
    return Submission.model_json_schema()
