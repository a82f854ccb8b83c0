"""TensorBoard: curves, settings and pictures in an event file of the run's own.

The HParams tab is filled session by session: no experiment summary is written, of which
TensorBoard would show an arbitrary run's and lose the columns that only other optimizers have.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_STRING
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.plugin_data_pb2 import (
    HParamsPluginData,
    SessionEndInfo,
    SessionStartInfo,
)

from fallline.records import Outcome, Record
from fallline.track import axes
from fallline.track.eventfile import EventFile
from fallline.track.settings import flat, group_name, hyperparameters
from fallline.track.tracker import RunStart

SESSION_START: Final = "_hparams_/session_start_info"  # tensorboard.plugins.hparams.metadata,
SESSION_END: Final = "_hparams_/session_end_info"  # which takes 0.6 s to import
STATUS: Final[Mapping[str, int]] = {
    "completed": api_pb2.STATUS_SUCCESS,
    "pruned": api_pb2.STATUS_SUCCESS,
    "diverged": api_pb2.STATUS_FAILURE,
    "failed": api_pb2.STATUS_FAILURE,
}  # an interrupted session has no end: TensorBoard shows its status as unknown


class TensorBoardTracker:
    """Writes one event per record, at once.

    A resumed run's file begins with a restart mark, at which readers drop what they read before,
    and with everything metrics.jsonl holds up to the checkpoint: nothing is shown twice, and
    nothing is missing that an earlier trouble kept out. Raises StorageError.
    """

    def __init__(self, start: RunStart) -> None:
        _drop_ended(start.folder.tensorboard)
        self._file = EventFile(start.folder.tensorboard)
        self._texts: dict[str, str] = {}
        self._write(time.time(), 0, file_version="brain.Event:2")
        if start.resumed_at is not None:
            self._write(time.time(), 0, session_log=SessionLog(status=SessionLog.START))
        self._add(time.time(), 0, [session_start(start.config)])
        self._add(time.time(), 0, [text("config", table(start.config))])
        for written, record in _past(start):
            self._log(record, written)

    def log(self, record: Record) -> None:
        """Writes a record's numbers, and its texts where they changed."""
        self._log(record, time.time())

    def show(self, name: str, picture: np.ndarray, step: int) -> None:
        """Writes a picture."""
        self._add(time.time(), step, [image(name, picture)])

    def finish(self, outcome: Outcome) -> None:
        """Writes how the session ended, if it did."""
        if outcome.status in STATUS:
            self._add(time.time(), 0, [session_end(outcome)])
        self._file.close()

    def _log(self, record: Record, written: float) -> None:
        values = [self._value(tag, value) for tag, value in axes.drawn(record).items()]
        self._add(written, axes.place(record), [value for value in values if value is not None])

    def _value(self, tag: str, value: float | str) -> Any:
        """A number's point, or a text where it is another than before."""
        if not isinstance(value, str):
            return Summary.Value(tag=tag, simple_value=value)
        before, self._texts[tag] = self._texts.get(tag), value
        return text(tag, value) if value != before else None

    def _add(self, written: float, step: int, values: list[Any]) -> None:
        if values:
            self._write(written, step, summary=Summary(value=values))

    def _write(self, written: float, step: int, **content: Any) -> None:
        self._file.append(Event(wall_time=written, step=step, **content).SerializeToString())


def text(tag: str, content: str) -> Any:
    """A value of the text tab, which reads Markdown."""
    tensor = TensorProto(dtype=DT_STRING, tensor_shape=TensorShapeProto())
    tensor.string_val.append(content.encode())
    return Summary.Value(tag=tag, metadata=_metadata("text"), tensor=tensor)


def image(tag: str, picture: np.ndarray) -> Any:
    """A value of the images tab, from `uint8 (H, W, 3)`."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png")
    height, width, channels = picture.shape
    encoded = Summary.Image(
        height=height, width=width, colorspace=channels, encoded_image_string=file.getvalue()
    )
    return Summary.Value(tag=tag, image=encoded)


def session_start(config: Mapping[str, Any]) -> Any:
    """The HParams tab's row of a run: typed settings, and the group that its seeds share."""
    info = SessionStartInfo(group_name=group_name(config), start_time_secs=time.time())
    for name, value in hyperparameters(config).items():
        if isinstance(value, bool):
            info.hparams[name].bool_value = value
        elif isinstance(value, str):
            info.hparams[name].string_value = value
        else:
            info.hparams[name].number_value = value
    return _hparams(SESSION_START, session_start_info=info)


def session_end(outcome: Outcome) -> Any:
    """How the HParams tab's row ended."""
    info = SessionEndInfo(status=STATUS[outcome.status], end_time_secs=time.time())
    return _hparams(SESSION_END, session_end_info=info)


def table(config: Mapping[str, Any]) -> str:
    """The config as a Markdown table that no value can break out of."""
    rows = [f"| {_escaped(k)} | {_escaped(v)} |" for k, v in flat(config).items()]
    return "\n".join(["| setting | value |", "|---|---|", *rows])


def _escaped(value: Any) -> str:
    line = " ".join(str(value).split())
    return re.sub(r"[^\w\s.,:/=-]|\b_|_\b", lambda found: f"&#{ord(found[0])};", line)


def _hparams(tag: str, **content: Any) -> Any:
    data = HParamsPluginData(version=0, **content).SerializeToString()
    no_values = TensorShapeProto(dim=[TensorShapeProto.Dim(size=0)])
    empty = TensorProto(dtype=DT_FLOAT, tensor_shape=no_values)
    return Summary.Value(tag=tag, metadata=_metadata("hparams", data), tensor=empty)


def _metadata(plugin: str, content: bytes = b"") -> Any:
    data = SummaryMetadata.PluginData(plugin_name=plugin, content=content)
    return SummaryMetadata(plugin_data=data)


def _drop_ended(folder: Path) -> None:
    """Removes files that tell of an end the run has gone on from: the first one told counts."""
    for path in folder.glob("events.out.tfevents.*"):
        if SESSION_END.encode() in path.read_bytes():
            path.unlink()


def _past(start: RunStart) -> Iterator[tuple[float, Record]]:
    """What a resumed run has measured before, with times as far apart as its training clock's."""
    records = start.past
    end = records[-1].train_seconds if records else 0.0
    for record in records:
        yield time.time() - end + record.train_seconds, record
