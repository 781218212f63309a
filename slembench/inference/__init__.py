"""Inference: predictions of a trained model and their cost, structures cut into parts, bands, physics checks."""

from slembench.inference.predict import InferenceCost, predict

__all__ = ["InferenceCost", "predict"]
