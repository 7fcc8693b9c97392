"""What the package's containers start: ``python -m pipeline.kubeflow.container TASK ...``.

``execute`` runs a component's executor, ``fingerprint`` a driver that looks at input files, ``last-blessed`` looks up
the last blessed model.
"""
