"""A workflow as a package that open-source Kubeflow Pipelines (or Vertex AI) runs; see docs/how_to/kubeflow.md.

TFX's own compiler targets Vertex AI alone. :mod:`pipeline.kubeflow.package` takes what it emits and mends it, one small
module per thing; :mod:`pipeline.kubeflow.container` is what the package's containers start.
"""
