"""Compiles a workflow for Kubeflow Pipelines, or submits it: ``python kfp_runner.py compile ...`` is the same as
``shelfmark compile``, ``python kfp_runner.py submit ...`` as ``shelfmark submit``."""

from shelfmark.cli import kubeflow_main

if __name__ == "__main__":
    kubeflow_main("kfp_runner.py")
