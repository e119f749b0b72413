"""What a run leaves for people: files, plots, an HTML report, a terminal summary and a live view."""
