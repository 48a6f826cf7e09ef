"""For teaching: the doctor, the bundle for places without a network, the checks of exercises."""
