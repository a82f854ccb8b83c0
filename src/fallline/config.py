"""The one schema of a run, for files, command line, sweeps and Python.

A `RunConfig` is complete and frozen. `model` and `optim` hold, beside the fields declared here,
the options of the row they name (`model.widths`, `optim.betas`); `training.resolve` checks those
against the row and fills in what was left out, so the config in a run folder leaves nothing to
guess.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A frozen part of the config that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class RowSection(Section):
    """A section that names a row of a table and holds that row's options beside its own fields."""

    model_config = ConfigDict(frozen=True, extra="allow", validate_default=True)

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The options of the row, by name."""
        return dict(self.model_extra or {})


class AugmentConfig(Section):
    """Random transforms of training batches; all off means the images as they are."""

    flip: Literal["auto", "off", "random", "alternating"] = Field(
        "auto", description="mirror left-right; auto: alternating where the set allows it"
    )
    shift: int | None = Field(
        0, ge=0, le=32, description="pixels of random shift, reflect padding; null: side / 16"
    )
    cutout: int = Field(0, ge=0, le=224, description="side of a square set to the mean, pixels")
    mixup: NonNegative = Field(0.0, description="alpha of the Beta that mixes pairs; 0: off")
    cutmix: NonNegative = Field(0.0, description="alpha of the Beta that pastes pairs; 0: off")


class DataConfig(Section):
    """Which images, how large, and which of them choices are made on."""

    name: str = Field("cifar10", description="a row of `fallline list data`, a folder or archive")
    image_size: int | None = Field(
        None,
        ge=8,
        le=224,
        examples=[32],
        description="pixels a side; default: the set's own, else 64",
    )
    channels: Literal[1, 3] | None = Field(None, description="default: the set's own")
    validate_on: Literal["val", "test"] = Field(
        "val", description="val: held out from training (or the set's own); test: as speed runs do"
    )
    holdout: int | Fraction | None = Field(
        None,
        examples=[0.1],
        description="images (or fraction) held out as val; default: a tenth, at most 5000",
    )
    split_seed: int = Field(0, ge=0, description="which images are held out")
    test_at_end: bool = Field(True, description="score the test split once, when the run ends")
    augment: AugmentConfig = AugmentConfig()


class ModelConfig(RowSection):
    """The network: a row of `fallline list models` and its options."""

    name: str = Field("convnet", description="a row of `fallline list models`")


class LrScaleConfig(Section):
    """Factors on `optim.lr` for the kinds of parameters."""

    matrix: NonNegative = Field(1.0, description="factor on lr for weights of two dimensions")
    filter: NonNegative = Field(1.0, description="factor on lr for weights of convolutions")
    head: NonNegative = Field(1.0, description="factor on lr for the last layer's weights")
    norm: NonNegative = Field(1.0, description="factor on lr for the scales of norms")
    bias: NonNegative = Field(1.0, description="factor on lr for biases, those of norms too")


class OptimConfig(RowSection):
    """The optimizer: a row of `fallline list optimizers` and its options."""

    name: str = Field("muon", description="a row of `fallline list optimizers`")
    lr: Positive | None = Field(
        None, examples=[0.1], description="peak learning rate; default: the row's"
    )
    weight_decay: NonNegative | None = Field(None, description="default: the row's")
    decay_norm_and_bias: bool = Field(False, description="decay biases and norms as well")
    lr_scale: LrScaleConfig = LrScaleConfig()


class ScheduleConfig(Section):
    """The learning rate over the run, a factor on `optim.lr`; lengths are fractions of it."""

    name: str = Field("linear", description="a row of `fallline list schedules`")
    warmup: Fraction = Field(0.0, description="fraction of the run that rises from 0 to the peak")
    final: Fraction = Field(0.0, description="factor at the end")
    peak: Fraction = Field(0.25, description="triangular and onecycle: where the peak lies")
    milestones: tuple[Fraction, ...] = Field((0.5, 0.75), description="step: where it drops")
    gamma: Fraction = Field(0.1, description="step: the factor of each drop")


class TrainConfig(Section):
    """How long, in what batches, on what, and with which loss."""

    epochs: Positive | None = Field(
        None,
        examples=[10],
        description="passes over the training images, 1.5 is allowed; default: 500,000 images' "
        "worth, within 4 and 25",
    )
    max_steps: Count | None = Field(
        None,
        examples=[1000],
        description="stop after this many steps, where the schedule ends too; default: none",
    )
    batch_size: Count | None = Field(
        None,
        examples=[128],
        description="default: a fortieth of the training images, within 16 and 500",
    )
    eval_batch_size: Count = Field(256, description="images per batch of validation")
    eval_every: Count = Field(1, description="epochs between validations; the last is always")
    loss: Literal["cross_entropy", "squared_error"] = Field(
        "cross_entropy", description="what is minimized; squared_error: to one-hot labels"
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of a label that is spread over all classes"
    )
    hardest: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0,
        description="share of each batch that is trained on: its hardest images, as a small "
        "convnet trained beside the model sees them; 1: all",
    )
    grad_clip: NonNegative = Field(0.0, description="largest gradient norm; 0: off")
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="decay per step of the averaged weights that are evaluated; 0: off"
    )
    tta: Literal["off", "flip", "flip_shift", "flip_grid"] = Field(
        "off",
        description="views averaged at the last evaluation, beside the plain one: 2, 6 or 18",
    )
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = Field(
        "auto",
        description="what it trains on; auto: a GPU where there is one",
        examples=["auto", "cpu", "cuda", "cuda:1", "mps"],
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 where the hardware multiplies it natively"
    )
    threads: Annotated[int, Field(ge=0)] = Field(
        0, description="CPU threads, at most a core each; 0: all"
    )
    compile: bool = Field(False, description="torch.compile the model")
    checkpoint_seconds: NonNegative = Field(
        30.0, description="seconds between checkpoints; 0: every step"
    )
    keep_weights: bool = Field(True, description="keep the last two checkpoints when it has ended")


class TrackConfig(Section):
    """Where measurements go beside the run folder."""

    tensorboard: bool = Field(True, description="write the files that fallline board shows")
    wandb: Literal["off", "offline", "online"] = Field(
        "off", description="log with Weights & Biases; offline: for wandb sync, later"
    )
    wandb_project: str = Field("fallline", description="its project at W&B")
    wandb_group: str | None = Field(None, description="its group at W&B; of a sweep: the sweep")
    every: Count = Field(10, description="steps between batch measurements")
    pictures: bool = Field(True, description="draw mistakes and the confusion matrix at the end")


class RunConfig(Section):
    """Everything that decides how a run goes. Equal configs on one CPU give equal weights."""

    seed: int = Field(0, ge=0, lt=2**63, description="initialization, data order and augmentation")
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    optim: OptimConfig = OptimConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    train: TrainConfig = TrainConfig()
    track: TrackConfig = TrackConfig()


SHORT_NAMES = {
    "data": "data.name",
    "image_size": "data.image_size",
    "model": "model.name",
    "optim": "optim.name",
    "optimizer": "optim.name",
    "lr": "optim.lr",
    "learning_rate": "optim.lr",
    "momentum": "optim.momentum",
    "weight_decay": "optim.weight_decay",
    "schedule": "schedule.name",
    "warmup": "schedule.warmup",
    "epochs": "train.epochs",
    "max_steps": "train.max_steps",
    "batch_size": "train.batch_size",
    "loss": "train.loss",
    "label_smoothing": "train.label_smoothing",
    "hardest": "train.hardest",
    "tta": "train.tta",
    "device": "train.device",
    "threads": "train.threads",
    "precision": "train.precision",
    "wandb": "track.wandb",
    "tensorboard": "track.tensorboard",
}
"""The words people and sweep files already use, and the field each means."""


def field_names() -> list[str]:
    """Every dotted key the schema declares (the options of rows are not among them)."""
    return list(declared_fields())


def declared_fields(
    section: type[BaseModel] = RunConfig, prefix: str = ""
) -> dict[str, FieldInfo]:
    """Every field the schema declares, by dotted key."""
    declared: dict[str, FieldInfo] = {}
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            declared |= declared_fields(kind, f"{prefix}{name}.")
        else:
            declared[prefix + name] = field
    return declared
