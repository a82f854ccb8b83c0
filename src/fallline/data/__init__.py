"""Image sets: decoded once, memory-mapped, handed out as whole augmented batches."""

from fallline.data.imageset import ImageSet, Progress, Split
from fallline.data.loading import available, fault_of, load
from fallline.data.shelf import CachedSet, cached_sets, check_cached
from fallline.data.split import hold_out
from fallline.data.table import DATA, DataRow

__all__ = [
    "DATA",
    "CachedSet",
    "DataRow",
    "ImageSet",
    "Progress",
    "Split",
    "available",
    "cached_sets",
    "check_cached",
    "fault_of",
    "hold_out",
    "load",
]
