"""The predictions that are published: by the last blessed model."""
