"""A Ray cluster as the place of a sweep. Loads Ray when it is known what is wanted of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from fallline.machine import usable_cores

if TYPE_CHECKING:
    from fallline.sweep.backend import Share
    from fallline.sweep.ray import RayTasks

QUIETLY: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is told to anyone
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",  # a dead node's last log lines stay out of the leaderboard
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run`, workers would build environments anew
}
ALONE: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""For a Ray of one machine: all of it listens on 127.0.0.1 alone, as Ray does on macOS and Windows
unless told otherwise; on Linux it would listen on every interface (ray 2.60, get_node_ip_address).
"""
IMPATIENTLY: Final = {"RAY_NUM_REDIS_GET_RETRIES": "3"}  # seconds, where Ray would try for 20


@dataclass(frozen=True)
class RayCluster:
    """A Ray cluster, or a Ray that is started on this machine.

    `address` is HOST:PORT of its head, None: Ray is started here; `workers` is how many trainings
    run at a time, auto: as many as there is room for.
    """

    address: str | None = None
    workers: int | Literal["auto"] = "auto"
    takes_programs = False  # no other machine has their files

    def open(self, folder: Path, share: Share) -> RayTasks:
        """Joins the cluster; its GPUs are used where it has any and the device allows it.

        Raises RunError, within seconds, where there is none that takes us, ConfigError where its
        nodes differ, MissingExtra.
        """
        for name, value in (QUIETLY | (IMPATIENTLY if self.address else ALONE)).items():
            os.environ.setdefault(name, value)  # Ray reads it when it is imported
        from fallline.sweep.ray import RayTasks
        from fallline.sweep.ray_connect import check_nodes, connect, has_gpus, most_cores

        is_ours = connect(self.address)
        check_nodes()
        wants_gpus = share.device.startswith(("auto", "cuda"))
        shared = share.per_device if wants_gpus and has_gpus() else None
        threads = max(1, min(share.threads, most_cores()))  # more would fit on no node
        if not share.threads and self.address is None and self.workers != "auto":
            threads = max(1, usable_cores() // self.workers)
        return RayTasks(threads, self.workers, shared, closes_ray=is_ours)
