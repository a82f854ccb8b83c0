"""The record of a sweep: an Optuna study that the coordinator alone writes.

A trial is created whole, with its configuration, in one transaction: after any kill it is there
or it is not. Its number is its place in the list of configurations.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import copy
from datetime import datetime
from typing import Any, Final

import optuna
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from fallline.errors import RunError
from fallline.sweep.definition import SweepFile, changes
from fallline.sweep.results import Trial, TrialStatus
from fallline.sweep.sampling import axes, params, propose

IDENTITY: Final = "identity"  # attributes of the study
HOME: Final = "home"
SPENT: Final = "spent"
PARAMETERS: Final = "parameters"  # attributes of a trial
END: Final = "end"
PUT_OFF: Final = "put off"
HOPELESS: Final = ("diverged", "out of memory", "failed")
"""What a sampler is to stay away from; W&B's takes the worst for all of them too, as `impute`."""
STATES: Final = {"completed": TrialState.COMPLETE, "pruned": TrialState.PRUNED}


class Study:
    """The study `name` in a storage: opened where it exists, else begun.

    `home` is what its folder is known by, as several may share a storage.

    Raises RunError if it was begun with something else than `file` and images of that
    fingerprint, caps and budgets aside, or from another folder.
    """

    def __init__(
        self,
        storage: BaseStorage,
        name: str,
        file: SweepFile,
        images: str | None,
        home: str | None = None,
    ) -> None:
        self._storage, self._file = storage, file
        self._identity = {**file.identity, "images": json.dumps(images)}
        goal = file.objective.goal if file.objective else "minimize"
        self._study = optuna.create_study(
            storage=storage, study_name=name, direction=goal, load_if_exists=True
        )
        self._id = storage.get_study_id_from_name(name)
        self._ids: dict[int, int] = {}
        self._check(name)
        self._move_in(name, home)
        self._distributions = {key: axis.distribution for key, axis in axes(file).items()}

    def trials(self) -> Iterator[Trial]:
        """Every trial on record, in order, without its folders."""
        for frozen in self._storage.get_all_trials(self._id, deepcopy=False):
            self._ids[frozen.number] = frozen._trial_id
            yield _trial(frozen)

    def propose(self, number: int) -> dict[str, Any]:
        """The configuration of a trial that is not there yet: the file's, or the sampler's."""
        if self._file.method == "bayes":
            ended = (trial for trial in self.trials() if not trial.again)
            hopeless = {trial.number for trial in ended if trial.status in HOPELESS}
            return propose(self._file, self._study, number, hopeless)
        return dict(self._file.point(number))

    def begin(self, number: int, values: Mapping[str, Any]) -> None:
        """Creates a trial with its configuration."""
        trial = create_trial(
            state=TrialState.RUNNING,
            params=params(self._file, values),
            distributions=self._distributions,
            user_attrs={PARAMETERS: dict(values)},
        )
        trial.datetime_start = datetime.now()
        self._ids[number] = self._storage.create_new_trial(self._id, template_trial=trial)

    def report(self, number: int, epoch: int, value: float) -> None:
        """Adds to a trial's curve."""
        self._storage.set_trial_intermediate_value(self._ids[number], epoch, value)

    def put_off(self, number: int, status: TrialStatus, reason: str) -> None:
        """Notes that a trial came to nothing, and leaves it open: it may run again."""
        told = {"status": status, "reason": reason}
        self._storage.set_trial_user_attr(self._ids[number], PUT_OFF, told)

    def end(self, number: int, status: TrialStatus, reason: str, value: float | None) -> None:
        """Ends a trial; `value` is the metric's, where it completed."""
        trial = self._ids[number]
        self._storage.set_trial_user_attr(trial, END, {"status": status, "reason": reason})
        state = STATES.get(status, TrialState.FAIL)
        if state is TrialState.COMPLETE and value is None:
            state = TrialState.FAIL
        self._storage.set_trial_state_values(trial, state, None if value is None else [value])

    def would_prune(self, number: int, epoch: int, value: float, pruner: BasePruner) -> bool:
        """What one of Optuna's pruners says of a trial's curve up to an epoch's value."""
        trial = copy(self._storage.get_trial(self._ids[number]))
        before = {step: v for step, v in trial.intermediate_values.items() if step < epoch}
        trial.intermediate_values = {**before, epoch: value}
        return pruner.prune(self._study, trial)

    @property
    def spent(self) -> dict[str, float]:
        """What earlier sessions have used up."""
        found: dict[str, float] = self._storage.get_study_user_attrs(self._id).get(SPENT, {})
        return found

    def keep_spent(self, spent: Mapping[str, float]) -> None:
        """Puts on record what was used up so far."""
        self._storage.set_study_user_attr(self._id, SPENT, dict(spent))

    def _check(self, name: str) -> None:
        """The same study goes on with the same file, or not at all."""
        before = self._storage.get_study_user_attrs(self._id).get(IDENTITY)
        if before is None:
            self._storage.set_study_user_attr(self._id, IDENTITY, self._identity)
        elif changed := changes(before, self._identity):
            raise RunError(
                f"the sweep {name} was begun with something else",
                seen="\n          ".join(changed[:8]) + ("\n          ..." if changed[8:] else ""),
                allowed="the same file, data and settings; a new cap or budget extends it",
                next="begin another one with --new or --name, or bring back what it was",
            )

    def _move_in(self, name: str, home: str | None) -> None:
        """The study belongs to one folder, from its first trial on."""
        before = self._storage.get_study_user_attrs(self._id).get(HOME)
        if before == home:
            return
        if self._storage.get_all_trials(self._id, deepcopy=False):
            raise RunError(
                f"another sweep by the name of {name} is in that storage",
                seen="its trials are in a folder elsewhere",
                next="choose another --name, or the --out where it was begun",
            )
        self._storage.set_study_user_attr(self._id, HOME, home)


def _trial(frozen: FrozenTrial) -> Trial:
    ended = frozen.state.is_finished()
    end = frozen.user_attrs.get(END if ended else PUT_OFF)
    status: TrialStatus = end["status"] if end else "running"
    values = {0: frozen.value} if status == "completed" and frozen.value is not None else {}
    return Trial(
        number=frozen.number,
        parameters=frozen.user_attrs[PARAMETERS],
        status=status,
        reason=end["reason"] if end else "",
        again=end is not None and not ended,
        values=values,
        curve=tuple(sorted(frozen.intermediate_values.items())),
    )
