"""The version, for modules below the estimators."""

__version__ = "0.1.0.dev0"
