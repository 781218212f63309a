"""Inference: a trained model and structures in, a predictions file and its measured cost out."""

from slembench.inference.predict import InferenceCost, predict

__all__ = ["InferenceCost", "predict"]
