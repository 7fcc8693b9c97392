"""Open-source Kubeflow Pipelines without a cluster: what its server, compiler, driver and launcher do with a package.

Mirrors the backend's source at tag 2.16.1 (file names in the modules), down to the errors. What it leaves out: loops,
conditions, exit handlers, and Kubernetes itself; pods are forked processes on folders of their own.
"""
