"""Version of the package, in the one place from which the build and every record take it."""

__version__ = "0.1.0"
