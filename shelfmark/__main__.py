"""``python -m shelfmark`` is the same as ``shelfmark``."""

from shelfmark.cli import main

if __name__ == "__main__":
    main()
