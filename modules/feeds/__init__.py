"""Product feeds: finding and reading files, mapping columns to fields, cleaning, splitting, quarantine.

Light: nothing here imports TensorFlow, TFX or Beam, unless a path names remote storage.
"""
