"""`python -m alhelpers`."""

import sys

from alhelpers.cli import main

sys.exit(main())
