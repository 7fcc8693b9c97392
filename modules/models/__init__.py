"""The classifiers: one shared body over the features, one head per objective."""
