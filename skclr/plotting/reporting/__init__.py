"""Reports: a single HTML file that shows what an embedder has learned, and whether it helped."""

from skclr.plotting.reporting.page import report

__all__ = ["report"]
