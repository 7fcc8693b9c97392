"""Runs a workflow on this machine: ``python local_runner.py [WORKFLOW] ...`` is the same as ``shelfmark run``.

It also offers the pipeline object, for a notebook (``from local_runner import create_pipeline``) and for TFX's own
command line (``tfx pipeline create --engine local --pipeline-path local_runner.py``).
"""

from shelfmark.cli import run_main
from shelfmark.pipelines import hand_local_to_tfx, loaded_by_tfx
from shelfmark.pipelines import local_pipeline as create_pipeline

__all__ = ["create_pipeline"]

if __name__ == "__main__":
    if loaded_by_tfx():
        hand_local_to_tfx()
    else:
        run_main("local_runner.py")
