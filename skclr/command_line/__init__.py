"""The command line: compare, fit, transform and report, on files."""

from skclr.command_line.commands import main

__all__ = ["main"]
