"""Runs a workflow on this machine: ``python local_runner.py [WORKFLOW] ...`` is the same as ``shelfmark run``."""

from shelfmark.cli import run_main

if __name__ == "__main__":
    run_main("local_runner.py")
