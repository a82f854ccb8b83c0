"""What a person mistypes, and the way on that each answer names."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import run

from fallline.config import SHORT_NAMES
from fallline.models.table import MODELS
from fallline.optim.library import NAMES


class Refuse:
    """Runs words that must be refused; gives back what is said."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *words: str) -> str:
        assert run(self._monkeypatch, *words) == 2
        said = self._capsys.readouterr().err
        assert "Traceback" not in said
        assert "Value error" not in said
        assert "Input should" not in said
        assert "next: " in said
        return said


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refuse:
    return Refuse(monkeypatch, capsys)


@pytest.mark.parametrize("short", sorted(SHORT_NAMES.keys() - {"data", "device", "tta"}))
def test_a_setting_typed_as_an_option_is_led_to_set(refuse: Refuse, short: str) -> None:
    assert f"--set {short}=7" in refuse("train", f"--{short}", "7")
    assert f"--set {short}=7" in refuse("train", f"--{short.replace('_', '-')}=7")
    assert f"fallline train --set {short}=..." in refuse("evaluate", "runs/r", f"--{short}")


def test_a_mistyped_option_is_led_to_the_one_that_was_meant(refuse: Refuse) -> None:
    assert "did you mean --quiet?" in refuse("train", "--quite")
    assert "--set optim.rho=0.1" in refuse("train", "--rho", "0.1")
    assert "fallline data fetch --help" in refuse("data", "fetch", "digits", "--xyz")


def test_a_mistyped_command_is_answered_like_every_mistake(refuse: Refuse) -> None:
    said = refuse("swep")
    assert "unknown command\n    seen: swep" in said
    assert "did you mean sweep?" in said
    assert "seen: it's\n" in refuse("it's")
    assert "seen: it's\n" in refuse("list", "it's")


def test_an_option_that_takes_a_number_says_so(refuse: Refuse) -> None:
    said = refuse("train", "--seed", "three")
    assert "--seed does not take this value" in said
    assert "allowed: a whole number" in said
    assert "a whole number up to 65535" in refuse("board", "runs", "--port", "70000")
    assert "allowed: a whole number from 1 up" in refuse("predict", "r", "x.png", "--top", "0")


def test_a_table_that_is_none_is_answered_with_the_tables(refuse: Refuse) -> None:
    assert "seen: nonsense\n    allowed: optimizers, models" in refuse("list", "nonsense")


def test_an_image_set_in_the_place_of_a_preset_is_led_to_data(
    refuse: Refuse, tmp_path: Path
) -> None:
    assert "did you mean --data digits?" in refuse("train", "digits")
    assert f"did you mean --data {tmp_path}?" in refuse("train", str(tmp_path))
    assert "fallline list presets" in refuse("train", "zzz")


@pytest.mark.parametrize("path", ["photos.zip", "./photos", "a/b", "~/nobody/photos"])
def test_a_path_that_does_not_exist_is_no_unknown_image_set(refuse: Refuse, path: str) -> None:
    said = refuse("train", "--data", path)
    assert "there is no such file or folder" in said
    assert f"{path}, looked for in {Path.cwd()}" in said


def test_a_path_mistyped_is_led_to_its_neighbour(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "photos.zip").touch()
    said = refuse("train", "--data", str(tmp_path / "fotos.zip"))
    assert f"did you mean {tmp_path / 'photos.zip'}?" in said


def test_an_address_is_to_be_downloaded_first(refuse: Refuse) -> None:
    said = refuse("train", "--data", "https://example.org/photos.zip")
    assert "an address is no image set" in said
    assert "next: download it first" in said


def test_a_run_s_file_that_is_broken_is_named_with_what_to_do(
    refuse: Refuse, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"seed": 0, "data": ')
    (tmp_path / "environment.json").write_text('{"data": {}}')
    said = refuse("evaluate", str(tmp_path))
    assert f"cannot read {tmp_path / 'config.json'}" in said
    assert "seen: no JSON" in said
    assert "allowed: the JSON object that the run wrote" in said
    (tmp_path / "outcome.json").write_text("{}")
    assert "outcome.json" in refuse("list", "runs", tmp_path.name, "--out", str(tmp_path.parent))


def test_a_config_file_that_cannot_be_read_says_why_in_words(
    refuse: Refuse, tmp_path: Path
) -> None:
    said = refuse("train", "-c", "nosuch.yaml")
    assert "seen: No such file or directory" in said
    assert f"check the path, as seen from {Path.cwd()}" in said
    (tmp_path / "a.yaml").write_text("- 1\n")
    assert "a list" in refuse("train", "-c", str(tmp_path / "a.yaml"))
    assert "--set lr=VALUE" in refuse("train", "--set", "lr")


def test_a_choice_of_views_that_is_none_gets_an_example(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert "for example off" in refuse("evaluate", str(tmp_path), "--tta", "nonsense")


def test_an_option_of_another_row_names_the_rows_that_have_it(refuse: Refuse) -> None:
    said = refuse("train", "--set", "optimizer=adamw", "--set", "optim.rho=0.1")
    assert "a setting of adadelta, sam, asam; see: fallline list optimizers adamw" in said
    said = refuse("train", "--set", "model=mlp", "--set", "model.stem=small")
    assert "a setting of resnet18; see: fallline list models mlp" in said


def test_a_mistyped_optimizer_is_not_answered_with_a_hundred_names(refuse: Refuse) -> None:
    said = refuse("train", "--set", "optimizer=lyon")
    assert "did you mean lion?" in said
    assert f"and {len(NAMES)} of the pytorch_optimizer package" in said
    assert max(map(len, said.splitlines())) < 250
    assert "fallline list models" in refuse("train", "--set", f"model={'x' * len(MODELS)}")


def test_a_word_too_many_a_value_too_few_and_a_table_that_is_none(refuse: Refuse) -> None:
    said = refuse("train", "fast70", "photos")
    assert "no further words\n    seen: photos" in said
    assert "--data PATH" in said
    assert "commas (sgd,adamw)" in refuse("compare", "--optimizers", "sgd", "adamw")
    assert "-d needs a value behind it" in refuse("train", "-d")
    assert "did you mean optimizers?" in refuse("list", "optimizer")
    assert "allowed: optimizers, models, data" in refuse("list")
    assert "--set lr=VALUE" in refuse("train", "--set", "lr", "0.1")
