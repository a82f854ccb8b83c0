"""What fields take, in words and by example."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from fallline.config import RunConfig, declared_fields
from fallline.errors import did_you_mean
from fallline.models.table import MODELS
from fallline.optim.table import OPTIMIZERS
from fallline.values import range_of, value_fault


class Inner(BaseModel):
    depth: Annotated[int, Field(ge=0, lt=9)] = 1


class Sample(BaseModel):
    rate: Annotated[float, Field(gt=0)] = 0.1
    share: Annotated[float, Field(ge=0, lt=1)] | None = None
    low: Annotated[float, Field(le=0)] = -1.0
    both: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    rare: Annotated[float, Field(ge=0, le=0.0005)] = 0.0
    word: Literal["on", "off", 2] = "on"
    widths: tuple[Annotated[int, Field(ge=1)], ...] = (8,)
    pair: tuple[float, bool] = (0.0, True)
    inner: Inner | None = None
    needed: str = Field(examples=["this"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rate", "a number above 0"),
        ("share", "a number from 0 to below 1 or null"),
        ("low", "a number up to 0"),
        ("both", "a number above 0 up to 1"),
        ("seed", "a whole number from 0 to 9223372036854775807"),
        ("rare", "a number from 0 to 0.0005"),
        ("word", "on, off or 2"),
        ("widths", "a list, each a whole number from 1 up"),
        ("pair", "a list of 2: a number, then true or false"),
        ("needed", "text"),
    ],
)
def test_a_range_is_said_in_words(name: str, words: str) -> None:
    assert range_of(Sample.model_fields[name]) == words


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"inner": {"depth": 9}}, "a.inner.depth does not take this value\n    seen: 9"),
        ({"widths": [1, 0]}, "a.widths does not take this value\n    seen: 0 in place 2"),
        ({"widths": 3}, "did you mean [3]?"),
        ({"rate": "0,5"}, "did you mean 0.5?"),
        ({"word": "of"}, "did you mean off?"),
        ({"share": 7}, "for example a.share=0.5"),
        ({}, "a.needed is missing"),
        ({}, "for example this"),
    ],
)
def test_a_value_that_is_refused_says_what_is_allowed(
    values: dict[str, object], text: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate(values)
    faults = [str(value_fault(found, Sample, "a.")) for found in caught.value.errors()]
    assert text in "\n".join(faults)


def every_field() -> Iterator[tuple[str, FieldInfo]]:
    for row in (*MODELS, *OPTIMIZERS):
        for name, field in row.options.model_fields.items():
            yield f"{row.name}.{name}", field
    for section in RunConfig.model_fields:
        kind = RunConfig.model_fields[section].annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for name, field in kind.model_fields.items():
                yield f"{section}.{name}", field


def test_every_setting_has_words_and_every_stated_example_is_allowed() -> None:
    assert len(declared_fields()) > 40
    for name, field in every_field():
        assert "any value" not in range_of(field), name
        for example in field.examples or ():
            TypeAdapter(field.rebuild_annotation()).validate_python(example)


def test_two_letters_that_changed_places_are_understood() -> None:
    assert did_you_mean("adma", ("adamax", "adam", "adamw")) == "adam"
    assert did_you_mean("adamwx", ("sgd", "adamw")) == "adamw"
    assert did_you_mean("threads", ("hardest", "threads")) == "threads"  # though it is an anagram
    assert did_you_mean("qqq", ("sgd", "adamw")) is None
