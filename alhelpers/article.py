"""What the article published, so that it can be held beside what a run gives."""

from typing import NamedTuple


class Published(NamedTuple):
    """One row of the article's table of results."""

    experiment: str
    stage: str
    n_labels: int
    accuracy: float


# Section "Results". The stage is the name the row has in history.csv; its last fit is the one to compare.
RESULTS = (
    Published("every image labelled", "ground_truth", 4000, 0.9225),
    Published("400 labels, no choice", "random", 400, 0.8375),
    Published("400 labels, actively chosen", "active", 400, 0.8975),
    Published("and the rest labelled by the model", "auto", 4000, 0.9050),
)


def table(measured: dict[str, float]) -> str:
    """The published accuracies beside measured ones, given by stage; a missing stage shows as a dash."""
    lines = [f"{'experiment of the article':<36}{'labels':>7}{'article':>10}{'here':>10}"]
    for row in RESULTS:
        here = measured.get(row.stage)
        lines.append(
            f"{row.experiment:<36}{row.n_labels:>7}{row.accuracy:>10.4f}"
            + (
                f"{here:>10.4f}  {'equal' if abs(here - row.accuracy) < 5e-5 else 'DIFFERENT'}"
                if here is not None
                else f"{'–':>10}"
            )
        )
    return "\n".join(lines)
