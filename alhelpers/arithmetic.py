"""What NumPy is told so that processors round alike. It reads that when it is imported, so none is here."""

import ctypes
import sys
from pathlib import Path


def knows_avx2(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this is an x86-64 processor of the last ten years, on Linux or Windows."""
    if sys.platform == "win32":
        return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(40))  # PF_AVX2_INSTRUCTIONS_AVAILABLE
    return cpuinfo.exists() and " avx2 " in cpuinfo.open().read(10_000)  # of the first core


# With AVX-512, OpenBLAS takes other instructions, slower ones for matrices as narrow as these. The article's
# figures do not hang on that; those of other draws do.
SAME_KERNELS = {"OPENBLAS_CORETYPE": "Haswell"} if knows_avx2() else {}
