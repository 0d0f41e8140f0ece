"""Micro AGI: a Jupyter kernel whose agent writes its own tools into a Git registry."""

__version__ = "0.1.0"
