"""Errors a user can act on: what was wrong, where (file, key, structure), and what to do."""

from __future__ import annotations


class SlembenchError(Exception):
    """Base of all errors the command line turns into one line on stderr and exit code 1."""


# also ValueErrors, so that callers who know nothing of slembench catch them as what they are
class DataError(SlembenchError, ValueError):
    """A data set, card, split or source file is missing, malformed or contradicts itself."""


class ConfigError(SlembenchError, ValueError):
    """A recipe, an option or a model configuration is unknown or does not fit its data."""


class PredictionError(SlembenchError, ValueError):
    """A predictions file is malformed or does not belong to the data it claims."""


class SubmissionError(SlembenchError, ValueError):
    """A submission is malformed, contradicts itself, or would do harm."""
