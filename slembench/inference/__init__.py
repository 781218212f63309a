"""Inference: a trained model and structures in, a predictions file and its measured cost out."""
