"""What a run tells people: a summary on the console, an HTML report, pages of statistics and evaluation."""
