"""What every process of the benchmarks runs under; to be settled before torch or llama.cpp are loaded."""

from __future__ import annotations

import os

ENVIRONMENT = {
    # Nothing is asked of a network, and no bars are drawn.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    # As in learning: beside any other busy program, threads that spin while they wait make all of it slow.
    "GOMP_SPINCOUNT": "500",
}


def settle() -> None:
    """Set it for this process; what is set already stays."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
