"""Compiles a workflow for Kubeflow Pipelines, or submits it: ``python kfp_runner.py compile ...`` is the same as
``shelfmark compile``, ``python kfp_runner.py submit ...`` as ``shelfmark submit``.

It also offers the pipeline object, for a notebook (``from kfp_runner import create_pipeline``) and for TFX's own
command line (``tfx pipeline create --engine vertex --pipeline-path kfp_runner.py``).
"""

from shelfmark.cli import kubeflow_main
from shelfmark.pipelines import hand_package_to_tfx, loaded_by_tfx
from shelfmark.pipelines import kubeflow_pipeline as create_pipeline

__all__ = ["create_pipeline"]

if __name__ == "__main__":
    if loaded_by_tfx():
        hand_package_to_tfx()
    else:
        kubeflow_main("kfp_runner.py")
