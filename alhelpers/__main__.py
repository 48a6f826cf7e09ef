"""`python -m alhelpers`."""

import os
import sys

try:
    if sys.path[0] == os.getcwd():  # `-m` puts this folder first, and a file in it may be called random.py
        sys.path.append(sys.path.pop(0))
except FileNotFoundError:  # somebody has deleted it
    pass

from alhelpers.cli import main

sys.exit(main())
