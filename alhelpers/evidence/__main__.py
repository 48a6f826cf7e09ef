"""`python -m alhelpers.evidence [EXPERIMENT …]`: compute the experiments named, or all."""

import sys

import numpy as np
import scipy

from alhelpers.evidence import experiments
from alhelpers.evidence.table import FILE


def main() -> None:
    """Compute, and write the results file, which keeps the rows of experiments that are not named."""
    wanted = sys.argv[1:] or list(experiments.EXPERIMENTS)
    for name in wanted:
        if name not in experiments.EXPERIMENTS:
            known = ", ".join(experiments.EXPERIMENTS)
            sys.exit(f"there is no experiment {name!r}; give any of {known}, or none for all")
    try:
        experiments.renew(wanted)
    except (OSError, RuntimeError) as error:
        sys.exit(f"alhelpers: {error}")
    except KeyboardInterrupt:
        sys.exit("alhelpers: interrupted; the results file is as it was")
    print(f"{FILE} is written; renew notebooks 09 to 11 and 13 with `make refresh`")
    if (np.__version__, scipy.__version__) != experiments.MADE_WITH:
        print(f"and let MADE_WITH in experiments.py say {(np.__version__, scipy.__version__)}")


if __name__ == "__main__":
    main()
