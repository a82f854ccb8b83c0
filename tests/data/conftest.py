"""Image sets on disk, and a cache for one test alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from image_files import paint_pets


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for this test alone."""
    folder = tmp_path / "own_cache"
    monkeypatch.setenv("FALLLINE_CACHE", str(folder))
    return folder


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A folder with train and test, two classes, 10 and 4 pictures."""
    return paint_pets(tmp_path / "pets")
