"""Where the last blessed model is looked up.

The interface, an implementation for each of Kubeflow's two stores of artifacts, and the choice between them. Nothing
else of the product asks Kubeflow for artifacts of other runs: Kubeflow Pipelines 3.0 takes ML Metadata out.
"""
