"""A person in the loop: images of their own, the ledger that keeps every label, and the widget that asks."""
