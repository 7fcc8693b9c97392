"""Kubeflow Pipelines' HTTP interface (v2beta1), as far as it takes to submit a package. Light, and nothing on the disk:
``kfp.Client`` keeps credentials and a context in the user's folder."""
