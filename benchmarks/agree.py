"""Whether a plain loop of scikit-learn agrees with the evidence of notebook 11, draw by draw.

Random labels and margin on each data set, the same rows and the same objective: the bias is penalised as one
more weight, so it is a column of ones. Prints, for 400 labels, scikit-learn's accuracy minus this package's.
Fits go further than the evidence's (`--tolerance 1e-5`), after which a row on the edge between classes may
lie on either side. scikit-learn lives in build/peers, which `python benchmarks/peers.py` makes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

BATCH, BUDGET = 10, 400
PEERS = Path(__file__).resolve().parents[1] / "build" / "peers"


def plain_loops(folder: Path) -> dict[str, float]:
    """Accuracy by "data set, query, draw", from the rows in the folder's files. Runs in build/peers."""
    from sklearn.linear_model import LogisticRegression

    found = {}
    for file in sorted(folder.glob("*.npz")):
        arrays = dict(np.load(file))
        x, x_test = (np.column_stack([arrays[part], np.ones(len(arrays[part]))]) for part in ("x", "x_test"))
        y, y_test = arrays["y"], arrays["y_test"]
        # Of two classes it has weights for one, which leaves half the penalty of weights for both.
        C = float(arrays["C"]) * (2 if len(np.unique(y)) == 2 else 1)
        tol = float(arrays["tolerance"]) / 10  # in its own coordinates
        model = LogisticRegression(C=C, fit_intercept=False, max_iter=50_000, tol=tol)
        found[f"{file.stem},random"] = model.fit(x[:BUDGET], y[:BUDGET]).score(x_test, y_test)
        labelled = np.arange(BATCH)
        while len(labelled) < BUDGET:
            if len(np.unique(y[labelled])) > 1:
                two = np.sort(model.fit(x[labelled], y[labelled]).predict_proba(x), axis=1)
                margin = two[:, -1] - two[:, -2]
            else:  # nothing to tell apart yet: the next rows of the pool
                margin = np.arange(len(x), dtype=float)
            margin[labelled] = np.inf
            labelled = np.concatenate([labelled, np.argsort(margin, kind="stable")[:BATCH]])
        found[f"{file.stem},margin"] = model.fit(x[labelled], y[labelled]).score(x_test, y_test)
        print(file.stem, file=sys.stderr)
    return found


def main() -> None:
    """Write the draws, have them learned in both environments, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20, help="of each data set (default %(default)s)")
    parser.add_argument("--tolerance", type=float, default=1e-7, help="of our fits (default %(default)s)")
    parser.add_argument("--loops", type=Path, help=argparse.SUPPRESS)  # this file, run in build/peers
    options = parser.parse_args()
    if options.loops:
        print(json.dumps(plain_loops(options.loops)))
        return
    from alhelpers.data import scale
    from alhelpers.evidence import Converged
    from alhelpers.evidence.carry_over import BEST_C, DATASETS
    from alhelpers.evidence.datasets import draw_of
    from alhelpers.evidence.runs import Recipe, replicate, score
    from alhelpers.intervals import interval

    ours = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in DATASETS:
            for seed in range(options.draws):
                images = draw_of(name, seed)
                arrays = {"x": scale(images.data.x_pool), "y": images.data.y_pool}
                arrays |= {"x_test": images.x_test, "y_test": images.y_test, "C": BEST_C[name]}
                arrays |= {"tolerance": options.tolerance}
                np.savez(Path(folder) / f"{name},{seed}.npz", **arrays)
                for query in ("random", "margin"):
                    model = partial(Converged, C=BEST_C[name], tolerance=options.tolerance)
                    run = replicate(images, Recipe(query), BUDGET, record_every=BUDGET, model=model)
                    ours[f"{name},{seed},{query}"] = score(images.x_test, images.y_test, run)[-1]
        command = [PEERS / "bin" / "python", __file__, "--loops", folder]
        theirs = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    for name in DATASETS:
        for query in ("random", "margin"):
            keys = [f"{name},{seed},{query}" for seed in range(options.draws)]
            difference = np.array([theirs[key] - ours[key] for key in keys])
            print(f"{name:10} {query:7} {interval(difference).points()}")


if __name__ == "__main__":
    main()
