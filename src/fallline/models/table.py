"""Every network you can choose, with its options; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fallline.config import Section
from fallline.registry import Table

Width = Annotated[int, Field(ge=1, le=65536)]
Activation = Literal["relu", "gelu", "silu", "leaky_relu", "elu", "tanh"]


class MlpOptions(Section):
    """Options of `mlp`."""

    widths: tuple[Width, ...] = Field(
        (1024, 512), max_length=64, description="units of each hidden layer; empty: a linear model"
    )
    norm: Literal["batch", "layer", "none"] = Field("batch", description="after each hidden layer")
    dropout: float = Field(0.0, ge=0, lt=1, description="probability, after each activation")
    activation: Activation = Field("relu", description="after each hidden layer's norm")
    components: int = Field(
        0,
        ge=0,
        le=4096,
        description="see images through that many of their principal components; 0: their pixels",
    )


class ConvnetOptions(Section):
    """Options of `convnet`; without whitening and dirac it is a plain BatchNorm network."""

    widths: tuple[Width, Width, Width] = Field(
        (64, 128, 128), description="channels of the three groups"
    )
    convs: Literal[2, 3] = Field(2, description="3x3 convolutions per group")
    residual: bool = Field(False, description="a group's first output is added to its last")
    stem_stride: Literal["auto", 1, 2] = Field(
        "auto",
        description="2 is some four times faster, less accurate; auto: 2 from 24 pixels a side on",
    )
    whitening: bool = Field(True, description="frozen stem that whitens 2x2 patches")
    stem_bias: bool = Field(
        False, description="train the frozen stem's biases; steps become a tenth slower"
    )
    dirac: bool = Field(True, description="3x3 convolutions start as (partial) identities")
    scaled_head: bool = Field(
        True, description="head weights start with deviation 1, logits are divided by the width"
    )
    norm_weight: bool = Field(False, description="train BatchNorm weights, not biases alone")
    norm_momentum: float = Field(
        0.4, gt=0, le=1, description="share of a batch in the running statistics (torch's sense)"
    )
    activation: Activation = Field("gelu", description="after each norm")


class Resnet18Options(Section):
    """Options of `resnet18`."""

    width: Width = Field(64, description="channels of the first stage; doubles in each later one")
    stem: Literal["auto", "small", "large"] = Field(
        "auto",
        description="small: 3x3, stride 1; large: 7x7, stride 2, pooling; auto: large above 64 px",
    )


class Resnet20Options(Section):
    """Options of `resnet20`."""

    width: Width = Field(16, description="channels of the first stage; doubles in each later one")


@dataclass(frozen=True)
class ModelRow:
    """A row: the class at `target` is called as `Cls(shape, classes, **options)`.

    `shape` is (C, H, W); the module maps normalized images, float (B, C, H, W), to logits
    (B, classes), and its last layer is its attribute `head`. A class that `calibrates` has a
    method `calibrate(images)`, to be called once before training with some thousand normalized
    training images that were not augmented.
    """

    name: str
    summary: str
    target: str
    options: type[Section]
    source: str
    calibrates: bool = False


MODELS: Table[ModelRow] = Table(
    "model",
    [
        ModelRow(
            "mlp",
            "fully connected layers of any widths",
            "fallline.models.mlp:Mlp",
            MlpOptions,
            source="Rumelhart, Hinton, Williams 1986; BatchNorm: Ioffe and Szegedy 2015",
            calibrates=True,
        ),
        ModelRow(
            "convnet",
            "three groups of convolutions behind a whitening stem: the fast one",
            "fallline.models.convnet:Convnet",
            ConvnetOptions,
            source="Jordan 2024, 94% on CIFAR-10 in 3.29 seconds, arXiv 2404.00498",
            calibrates=True,
        ),
        ModelRow(
            "resnet18",
            "residual network of 11 million parameters",
            "fallline.models.resnet:Resnet18",
            Resnet18Options,
            source="He et al. 2015, arXiv 1512.03385, table 1",
        ),
        ModelRow(
            "resnet20",
            "residual network of 0.27 million parameters, made for CIFAR-10",
            "fallline.models.resnet:Resnet20",
            Resnet20Options,
            source="He et al. 2015, arXiv 1512.03385, section 4.2",
        ),
    ],
    shown_by="fallline list models",
)
