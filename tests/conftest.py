"""What every test may use: a cache of its own session, and the JPEG copy of CIFAR-10."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's cache; one that needs an empty one sets it itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FALLLINE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def cifar_jpeg() -> Path:
    """The archive of CIFAR-10 as JPEG files; tests that ask for it carry the mark `cifar`."""
    there = os.environ.get("FALLLINE_CIFAR_JPEG")
    path = Path(there) if there else ROOT.parent / "shared" / "data" / "cifar10_jpeg.tar.xz"
    if not path.is_file():
        pytest.skip(f"the JPEG copy of CIFAR-10 is not at {path} (see FALLLINE_CIFAR_JPEG)")
    return path
