"""``shelfmark init``: looks at somebody's own feed files and writes a first workflow for them.

Everything is a guess from names and values, made over a sample of the products and shown with its confidence. Nothing
here imports TensorFlow, and pyarrow only where a file is Parquet.
"""

from pipeline.init.detect import Guess, detect
from pipeline.init.output import write_workflow

__all__ = ["Guess", "detect", "write_workflow"]
