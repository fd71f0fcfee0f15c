"""The door of the command: ``staging`` and ``python -m staging``."""

import sys

from staging._cli import main

if __name__ == "__main__":
    sys.exit(main())
