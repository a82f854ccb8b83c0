"""What a step frees is there for the next one, and goes back to the system after a run."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CHILD = """
import resource
import numpy as np
from fallline.training.heap import kept_memory

def used_again():
    for _ in range(20):
        np.ones(2**26, np.uint8)  # more than glibc keeps by itself

def faults(work):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

outside, at_first = faults(used_again), resident()
with kept_memory():
    used_again()
    inside = faults(used_again)
    kept = resident() - at_first
print(outside, inside, kept, resident() - at_first, faults(used_again))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
def test_blocks_are_kept_inside_and_given_back_after() -> None:
    command = [sys.executable, "-c", CHILD]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    outside, inside, kept, left, after = map(int, done.stdout.split())
    assert inside < outside / 5
    assert kept > 2**25
    assert left < 2**25
    assert after > inside


LARGE = """
import ctypes
import numpy as np
from fallline.training.heap import kept_memory

end_of_heap = ctypes.CDLL(None).sbrk
end_of_heap.restype, end_of_heap.argtypes = ctypes.c_void_p, [ctypes.c_ssize_t]
with kept_memory():
    block = np.empty(2**31 + 2**20, np.uint8)  # never touched: it takes no memory
    grown = end_of_heap(0)
    del block
    np.empty(2**26, np.uint8)
    print(end_of_heap(0) - grown)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
def test_more_than_two_gibibytes_are_kept_as_well() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LARGE], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == 0
