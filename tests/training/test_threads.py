"""Each of torch's threads has a core of its own while a run trains, and all of them after it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fallline.training.threads import own_cores, set_threads

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="needs Linux and two cores"
)
CHILD = """
import json, os, sys
import torch
from fallline.training.threads import on_own_cores, set_threads

def cores_of_threads():
    torch.ones(2000, 2000).exp()  # shared by the threads
    return [sorted(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")]

threads = set_threads(int(sys.argv[1]))
seen = [cores_of_threads()]
try:
    with on_own_cores(threads):
        seen += [cores_of_threads(), sorted(os.sched_getaffinity(0))]
        raise KeyboardInterrupt
except KeyboardInterrupt:
    seen += [cores_of_threads()]
print(json.dumps(seen))
"""


def cores_with(
    threads: int,
) -> tuple[list[list[int]], list[list[int]], list[int], list[list[int]]]:
    """The cores of each thread before and inside, of the caller inside, of each thread after."""
    command = [sys.executable, "-c", CHILD, str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, inside, caller, after = json.loads(done.stdout)
    return before, inside, caller, after


def test_as_many_threads_as_cores_get_one_each_until_they_are_done() -> None:
    cores = sorted(os.sched_getaffinity(0))
    before, inside, caller, after = cores_with(0)
    assert before == after == [cores] * len(before)
    bound = [own for own in inside if len(own) == 1]
    assert sorted(bound) == [[core] for core in cores]
    assert caller == [cores[0]]


def test_of_more_than_two_threads_the_caller_is_not_bound() -> None:
    assert own_cores([3, 5]) == [[3], [5]]
    assert own_cores([0, 1, 2, 3]) == [[0, 1, 2, 3], [1], [2], [3]]


TEAMS = """
import ctypes, json, os
import torch
from fallline.openmp import openmp
from fallline.training.threads import _bind, own_cores

team, every = openmp(), sorted(os.sched_getaffinity(0))
places = own_cores([every[0], every[1], every[0], every[1]])  # as on four cores
_bind(team, places)
seen = {}
def look(_):
    seen[team.omp_get_thread_num()] = sorted(os.sched_getaffinity(0))
look = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(look)
for size in (4, 3, 4):
    seen.clear()
    team.GOMP_parallel(look, None, size, 0)
print(json.dumps([places, [seen[i] for i in range(4)]]))
"""


def test_a_thread_that_openmp_begins_anew_is_not_bound_to_the_core_of_another() -> None:
    command = [sys.executable, "-c", TEAMS]
    patient = {**os.environ, "OMP_WAIT_POLICY": "passive"}  # four threads on two cores
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=patient)
    places, seen = json.loads(done.stdout)
    every = sorted(os.sched_getaffinity(0))
    assert (seen[0], seen[1:3]) == (every, places[1:3])
    assert seen[3] in (places[3], every)  # its own still, or wherever there is room


def test_fewer_threads_than_cores_are_left_alone() -> None:
    cores = sorted(os.sched_getaffinity(0))
    before, inside, caller, after = cores_with(1)
    assert {tuple(own) for own in [*before, *inside, caller, *after]} == {tuple(cores)}


def test_there_are_no_more_threads_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr("fallline.training.threads.usable_cores", lambda: 2)
    try:
        assert [set_threads(wanted) for wanted in (0, 1, 2, 64)] == [2, 1, 2, 2]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_training_binds_its_threads_and_lets_them_go(tmp_path: Path) -> None:
    script = """
import os
import fallline
from fallline.models.convnet import WhiteningStem
seen = set()
every = os.sched_getaffinity(0)
look = lambda *_: seen.add(tuple(os.sched_getaffinity(0)))
WhiteningStem.whiten = look
settings = {"train.max_steps": 1, "model.widths": [8, 8, 8], "track.pictures": False}
fallline.train(data="digits", settings=settings, show="silent")
print(seen, os.sched_getaffinity(0) == every)
seen.clear()
settings = {"epochs": 1, "model": "mlp", "track.pictures": False}
fallline.train(data="digits", settings=settings, show="silent", on_eval=look)
print(seen, os.sched_getaffinity(0) == every)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    bound = f"{{({min(os.sched_getaffinity(0))},)}} True"
    assert done.stdout.splitlines() == [bound, bound]  # its calibration, and its training
