"""The table of image sets that go by name. Any folder or archive of images works beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fallline.registry import Table


@dataclass(frozen=True)
class DataRow:
    """An image set that has a name.

    Attributes:
        name: the word people type.
        summary: one line for `fallline list data`.
        image_size: pixels a side, as published.
        channels: 1 (grey) or 3 (RGB), as published.
        classes: how many.
        train, test: how many images.
        mirror: whether a left-right flip keeps an image's meaning.
        source: who made it, and where that is written.
        origin: where the images come from: a download, or this machine.
        target: "module:name" of the function that fills a `PixelWriter` with them.
        torchvision: the class of torchvision.datasets that knows the addresses and checksums.
        files: the downloaded files, by name.
    """

    name: str
    summary: str
    image_size: int
    channels: Literal[1, 3]
    classes: int
    train: int
    test: int
    mirror: bool
    source: str
    origin: Literal["download", "built-in"]
    target: str
    torchvision: str = ""
    files: tuple[str, ...] = ()


_IDX_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)

DATA: Table[DataRow] = Table(
    "image set",
    [
        DataRow(
            name="cifar10",
            summary="photographs of 10 kinds of animals and vehicles, 32x32",
            image_size=32,
            channels=3,
            classes=10,
            train=50_000,
            test=10_000,
            mirror=True,
            source="Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html",
            origin="download",
            target="fallline.data.published:fill_cifar",
            torchvision="CIFAR10",
            files=("cifar-10-python.tar.gz",),
        ),
        DataRow(
            name="cifar100",
            summary="photographs of 100 kinds of things, 32x32",
            image_size=32,
            channels=3,
            classes=100,
            train=50_000,
            test=10_000,
            mirror=True,
            source="Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html",
            origin="download",
            target="fallline.data.published:fill_cifar",
            torchvision="CIFAR100",
            files=("cifar-100-python.tar.gz",),
        ),
        DataRow(
            name="mnist",
            summary="handwritten digits, grey, 28x28",
            image_size=28,
            channels=1,
            classes=10,
            train=60_000,
            test=10_000,
            mirror=False,
            source="LeCun et al. 1998, http://yann.lecun.com/exdb/mnist/",
            origin="download",
            target="fallline.data.published:fill_idx",
            torchvision="MNIST",
            files=_IDX_FILES,
        ),
        DataRow(
            name="fashion_mnist",
            summary="articles of clothing, grey, 28x28",
            image_size=28,
            channels=1,
            classes=10,
            train=60_000,
            test=10_000,
            mirror=True,
            source="Xiao, Rasul, Vollgraf 2017, https://arxiv.org/abs/1708.07747",
            origin="download",
            target="fallline.data.published:fill_idx",
            torchvision="FashionMNIST",
            files=_IDX_FILES,
        ),
        DataRow(
            name="digits",
            summary="small handwritten digits, grey, 8x8; ships with scikit-learn, no download",
            image_size=8,
            channels=1,
            classes=10,
            train=1_437,
            test=360,
            mirror=False,
            source="Alpaydin, Kaynak 1998, https://doi.org/10.24432/C50P49 (its test part)",
            origin="built-in",
            target="fallline.data.builtin:fill_digits",
        ),
        DataRow(
            name="synthetic",
            summary="4 kinds of coloured waves under noise, 16x16; made on the spot, for tests",
            image_size=16,
            channels=3,
            classes=4,
            train=800,
            test=200,
            mirror=False,
            source="drawn by fallline.data.builtin, always the same",
            origin="built-in",
            target="fallline.data.builtin:fill_synthetic",
        ),
    ],
    shown_by="fallline list data",
)
