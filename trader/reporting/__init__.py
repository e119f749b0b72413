"""What a run leaves for people: files, plots, an HTML report, a terminal summary and a live view."""

from trader.reporting.files import INCOMPLETE, RUN_FILES, mark_incomplete, write_run
from trader.reporting.summary import Summary

__all__ = ["INCOMPLETE", "RUN_FILES", "Summary", "mark_incomplete", "write_run"]
