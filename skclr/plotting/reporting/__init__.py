"""A report: one HTML file that says whether contrastive learning helped, and shows what it has learned."""

from skclr.plotting.reporting.page import report

__all__ = ["report"]
