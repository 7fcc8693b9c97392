"""What training says when it cannot go on.

In a module of its own: TFX reloads the module of ``run_fn`` at each run, and a class that is defined in it would then
no longer be the class that its callers imported.
"""


class TrainingError(Exception):
    """Training cannot go on; says why in a sentence."""
