"""The Chromium of this machine, and what axe finds in a page."""

import shutil
from collections.abc import Mapping
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SWITCHES = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip


def serious(found: Mapping[str, Any]) -> list[str]:
    """What `axe.run` found that is serious or critical, each with the element that has it."""
    return [
        f"{one['id']} in {node['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
