"""What the article published, so that it can be held beside what a run gives."""

from typing import NamedTuple

from alhelpers.tables import Table


class Published(NamedTuple):
    """One row of the article's table of results."""

    experiment: str
    stage: str
    n_labels: int
    accuracy: float


# Section "Results". The stage is the name the row has in history.csv; its last fit is the one to compare.
RESULTS = (
    Published("all 4,000 labels", "ground_truth", 4000, 0.9225),
    Published("400 labels, unselected", "random", 400, 0.8375),
    Published("400 labels, actively chosen", "active", 400, 0.8975),
    Published("the rest labelled by the model", "auto", 4000, 0.9050),
)


def table(measured: dict[str, float]) -> Table:
    """The published accuracies beside measured ones, given by stage; a missing stage shows as a dash."""
    rows = []
    for row in RESULTS:
        here, verdict = "–", ""
        if row.stage in measured:
            here = f"{measured[row.stage]:.4f}"
            verdict = "equal" if abs(measured[row.stage] - row.accuracy) < 5e-5 else "DIFFERENT"
        rows.append((row.experiment, f"{row.n_labels:,}", f"{row.accuracy:.4f}", here, verdict))
    return Table(("experiment", "labels", "article", "here", ""), rows)
