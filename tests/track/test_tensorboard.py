from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sample_run import (
    PICTURE,
    STEPS,
    config,
    log_all,
    outcome,
    records,
    start_of,
    whole_run,
)
from tensorboard.backend.event_processing import data_provider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

from fallline.errors import StorageError
from fallline.records import Record
from fallline.track.eventfile import crc32c
from fallline.track.folder import FolderTracker
from fallline.track.settings import group_name
from fallline.track.tensorboard import TensorBoardTracker, table
from fallline.track.tracker import RunStart


def events_of(folder: Path) -> Any:
    """TensorBoard's own reader on a run's event files."""
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def series(events: Any, tag: str) -> list[tuple[int, Any]]:
    return [(event.step, pytest.approx(event.value)) for event in events.Scalars(tag)]


@pytest.fixture
def events(tmp_path: Path) -> Any:
    start = start_of(tmp_path)
    whole_run(TensorBoardTracker(start))
    return events_of(start.folder.tensorboard)


def test_the_ten_series_can_be_read_back_under_their_names(events: Any) -> None:
    by_epoch: dict[str, list[float]] = {
        "weight_norm": [11.0, 12.0],
        "batch_size": [350, 350],
        "train/loss": [1.5, 0.75],
        "train/accuracy": [0.25, 0.5],
        "val/loss": [1.75, 0.875],
        "val/accuracy": [0.375, 0.75],
        "lr": [0.1, 0.05],
    }
    for tag, values in by_epoch.items():
        assert series(events, tag) == list(enumerate(values, start=1)), tag
    assert series(events, "train/batch_loss") == [(s, 2.0 / s) for s in range(1, STEPS + 1)]
    assert series(events, "val/batch_loss") == [(n, 2.0 / n) for n in range(1, 7)]
    (optimizer,) = events.Tensors("optimizer")
    assert optimizer.tensor_proto.string_val == [b"sgd"]


def test_a_name_that_batches_and_epochs_share_makes_two_series(events: Any) -> None:
    assert len(series(events, "batch/lr")) == STEPS
    assert len(series(events, "batch/grad_norm")) == STEPS
    assert series(events, "grad_norm") == [(1, 3.0), (2, 3.0)]
    assert "val/batch" not in events.Tags()["scalars"]


def test_a_picture_comes_back_pixel_for_pixel(events: Any) -> None:
    (image,) = events.Images("confusion/test")
    assert image.step == STEPS
    decoded = np.asarray(Image.open(io.BytesIO(image.encoded_image_string)))
    assert np.array_equal(decoded, PICTURE)


def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    start = start_of(tmp_path)
    tracker = TensorBoardTracker(start)
    tracker.log(Record("batch", 1, 1, 0.1, {"train/batch_loss": 1.0, "lr": float("nan")}))
    tracker.finish(outcome())
    assert events_of(start.folder.tensorboard).Tags()["scalars"] == ["train/batch_loss"]


def test_the_config_is_a_table_that_no_value_breaks_out_of(events: Any) -> None:
    (shown,) = events.Tensors("config")
    assert "| optim.lr | 0.1 |" in shown.tensor_proto.string_val[0].decode()
    hostile = {"data": {"name": "a|b\n</script>`*__x__*`[y](javascript:z)"}}
    *_, row = table(hostile).splitlines()
    assert row.count("|") == 3
    assert not set(row) & set("<>`*[]()")


def log_until_killed(start: RunStart, until: int) -> None:
    folder, board = FolderTracker(start), TensorBoardTracker(start)
    for tracker in (folder, board):
        log_all(tracker, until=until)
    folder._file.close()  # as the system does for a process that is killed
    board._file.close()


def go_on(start: RunStart) -> None:
    for tracker in (FolderTracker(start), TensorBoardTracker(start)):
        log_all(tracker, after=start.resumed_at or 0)
        tracker.finish(outcome())


def test_a_resumed_run_shows_every_step_once(tmp_path: Path) -> None:
    start = start_of(tmp_path)
    log_until_killed(start, until=7)  # the checkpoint is of step 6
    again = start_of(tmp_path, resumed_at=6)
    go_on(again)

    straight = start_of(tmp_path, "straight")
    whole_run(TensorBoardTracker(straight))
    resumed, never_stopped = (events_of(s.folder.tensorboard) for s in (again, straight))
    assert resumed.Tags()["scalars"] == never_stopped.Tags()["scalars"]
    for tag in never_stopped.Tags()["scalars"]:
        assert series(resumed, tag) == series(never_stopped, tag), tag
    told = {event.tensor_proto.string_val[0] for event in resumed.Tensors("optimizer")}
    assert told == {b"sgd"}  # twice: this reader drops numbers at a restart, but not texts


def test_a_board_that_watched_the_stopped_run_drops_what_came_after_the_checkpoint(
    tmp_path: Path,
) -> None:
    start = start_of(tmp_path)
    log_until_killed(start, until=7)
    watching = events_of(start.folder.tensorboard)
    assert len(watching.Scalars("train/batch_loss")) == 7
    go_on(start_of(tmp_path, resumed_at=6))
    watching.Reload()
    assert series(watching, "train/batch_loss") == [(s, 2.0 / s) for s in range(1, STEPS + 1)]


def hparams_of(out: Path) -> tuple[Any, list[Any]]:
    """What the HParams tab shows: its columns, and its rows."""
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(out))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(out))
    tab = base_plugin.TBContext(logdir=str(out), data_provider=provider)
    backend, request = backend_context.Context(tab), RequestContext()
    found = backend.hparams_metadata(request, "")
    experiment = backend.experiment_from_metadata(request, "", True, found, [])
    wish = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=100,
        include_metrics=True,
        aggregation_type=api_pb2.AGGREGATION_AVG,
        allowed_statuses=list(api_pb2.Status.values()),
    )
    wish.col_params.add(hparam="optim.lr")
    for metric in experiment.metric_infos:
        wish.col_params.add(metric=metric.name)
    rows = list_session_groups.Handler(
        request_context=request, backend_context=backend, experiment_id="", request=wish
    ).run()
    return experiment, list(rows.session_groups)


def test_the_hparams_tab_has_the_columns_of_every_optimizer_with_their_types(
    tmp_path: Path,
) -> None:
    options: list[dict[str, Any]] = [
        {"name": "sgd", "lr": 0.1, "nesterov": True},
        {"name": "adamw", "lr": 0.001, "betas": [0.9, 0.99], "eps": 1e-8},
    ]
    for option in options:
        start = start_of(tmp_path, option["name"], optim=option)
        whole_run(TensorBoardTracker(start))
    experiment, rows = hparams_of(tmp_path)
    types = {info.name: info.type for info in experiment.hparam_infos}
    assert types["optim.nesterov"] == api_pb2.DATA_TYPE_BOOL
    assert types["optim.eps"] == types["optim.lr"] == api_pb2.DATA_TYPE_FLOAT64
    assert types["optim.betas"] == types["optim.name"] == api_pb2.DATA_TYPE_STRING
    assert "val/accuracy" in {info.name.tag for info in experiment.metric_infos}
    assert len(rows) == 2


def test_the_hparams_tab_groups_seeds_and_averages_them(tmp_path: Path) -> None:
    for seed in (0, 1, 2):
        start = start_of(tmp_path, f"seed-{seed}", seed=seed, track_tensorboard=bool(seed))
        tracker = TensorBoardTracker(start)
        tracker.log(Record("epoch", 4, 1, 1.0, {"val/accuracy": 0.5 + 0.25 * (seed - 1)}))
        tracker.finish(outcome())
    _, (group,) = hparams_of(tmp_path)
    assert len(group.sessions) == 3
    (accuracy,) = [v.value for v in group.metric_values if v.name.tag == "val/accuracy"]
    assert accuracy == pytest.approx(0.5)
    assert group_name(config(seed=3)) == group_name(config())
    assert group_name(config(optim_lr=0.2)) != group_name(config())


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("completed", api_pb2.STATUS_SUCCESS),
        ("pruned", api_pb2.STATUS_SUCCESS),
        ("diverged", api_pb2.STATUS_FAILURE),
        ("failed", api_pb2.STATUS_FAILURE),
        ("interrupted", api_pb2.STATUS_UNKNOWN),
    ],
)
def test_the_hparams_tab_tells_how_a_run_ended(tmp_path: Path, status: Any, shown: int) -> None:
    whole_run(TensorBoardTracker(start_of(tmp_path)), status)
    _, (group,) = hparams_of(tmp_path)
    assert [session.status for session in group.sessions] == [shown]


def test_a_failed_run_that_was_resumed_and_completed_is_shown_as_a_success(tmp_path: Path) -> None:
    failed = TensorBoardTracker(start_of(tmp_path))
    failed.finish(outcome("failed"))
    go_on(start_of(tmp_path, resumed_at=0))
    _, (group,) = hparams_of(tmp_path)
    assert [session.status for session in group.sessions] == [api_pb2.STATUS_SUCCESS]


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of the CRC catalogue
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


def test_a_folder_that_takes_no_file_is_a_storage_error(tmp_path: Path) -> None:
    start = start_of(tmp_path)
    start.folder.tensorboard.write_text("in the way")
    with pytest.raises(StorageError, match="tensorboard"):
        TensorBoardTracker(start)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_noticed_at_the_next_record(tmp_path: Path) -> None:
    tracker = TensorBoardTracker(start_of(tmp_path))
    with tracker._file._file, open("/dev/full", "wb", buffering=0) as full:
        tracker._file._file = full
        with pytest.raises(StorageError, match="No space left"):
            tracker.log(records()[0])


def test_no_event_loads_tensorboards_slow_parts() -> None:
    script = (
        "import sys, fallline.track.tensorboard\n"
        "print([m for m in ('torch', 'tensorboard.compat.notf', 'fsspec') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"
