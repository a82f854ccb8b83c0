"""What values a field takes, in words and by example, as its annotation states them.

Messages and tables say it from here, so that a range is written once: in the schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from fallline.errors import Fault, did_you_mean

_KINDS = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "null": "null",
    "object": "a mapping",
}


def range_of(field: FieldInfo) -> str:
    """What the field takes: "a number from 0 to below 1", "off, flip, flip_shift or flip_grid"."""
    return _words(_schema(field))


def typed(value: Any) -> str:
    """A value as a person types it: `adamw`, `[64, 128]`, `true`."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def value_fault(found: Mapping[str, Any], schema: type[BaseModel], prefix: str = "") -> Fault:
    """One of pydantic's findings about the value of a field, in our four parts.

    Args:
        found: an entry of `ValidationError.errors()`.
        schema: what was validated.
        prefix: what stands before its keys ("optim.").
    """
    path, field = _field_at(schema, found["loc"])
    key, seen = prefix + ".".join(path), repr(found["input"])
    if field is None or found["type"] == "value_error":
        return Fault(f"{key.rstrip('.')}: {found['msg'].removeprefix('Value error, ')}", seen)
    inside = [part + 1 for part in found["loc"][len(path) :] if isinstance(part, int)]
    if found["type"] == "missing" and not inside:
        return Fault(f"{key} is missing", None, range_of(field), f"for example {_example(field)}")
    seen += f" in place {inside[0]}" if inside and found["type"] != "missing" else ""
    meant = None if inside else _meant(found["input"], field)
    hint = f"for example {key}={_example(field)}" if meant is None else f"did you mean {meant}?"
    return Fault(f"{key} does not take this value", seen, range_of(field), hint)


def _field_at(schema: type[BaseModel], place: Sequence[Any]) -> tuple[list[str], FieldInfo | None]:
    """The field that a finding's place leads to; what follows is inside its value."""
    path: list[str] = []
    field: FieldInfo | None = None
    kind: type[BaseModel] | None = schema
    for part in place:
        if kind is None or part not in kind.model_fields:
            break
        field = kind.model_fields[part]
        path.append(part)
        kind = next(_sections_in(field.annotation), None)
    return path, field


def _sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind


def _adapter(field: FieldInfo) -> TypeAdapter[Any]:
    return TypeAdapter(field.rebuild_annotation())


def _schema(field: FieldInfo) -> dict[str, Any]:
    schema = _adapter(field).json_schema()
    return schema | {"examples": field.examples} if field.examples else schema


def _words(schema: Mapping[str, Any]) -> str:
    *others, last = dict.fromkeys(_alternatives(schema))
    return f"{', '.join(others)} or {last}" if others else last


def _alternatives(schema: Mapping[str, Any]) -> list[str]:
    if "anyOf" in schema:
        return [word for part in schema["anyOf"] for word in _alternatives(part)]
    if stated := _stated(schema):
        return [typed(value) for value in stated]
    if "pattern" in schema and "examples" in schema:
        return [typed(value) for value in schema["examples"]]
    kind = schema.get("type", "")
    return [_list(schema) if kind == "array" else _KINDS.get(kind, "any value") + _range(schema)]


def _stated(schema: Mapping[str, Any]) -> list[Any]:
    """The values that a schema lists, if it does."""
    return [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())]


def _list(schema: Mapping[str, Any]) -> str:
    if "prefixItems" not in schema:
        return f"a list, each {_words(schema.get('items', {}))}"
    items = [_words(item) for item in schema["prefixItems"]]
    if len(set(items)) == 1:
        return f"a list of {len(items)}, each {items[0]}"
    return f"a list of {len(items)}: {', then '.join(items)}"


def _range(schema: Mapping[str, Any]) -> str:
    names = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
    low, above, high, below = (_digits(schema[name]) if name in schema else "" for name in names)
    if low:
        return f" from {low} " + (f"to {high}" if high else f"to below {below}" if below else "up")
    end = f" up to {high}" if high else f" below {below}" if below else ""
    return (f" above {above}" if above else "") + end


def _digits(bound: float) -> str:
    """A bound as it may be typed, a whole one in all its digits."""
    return f"{int(bound)}" if float(bound).is_integer() else f"{bound:g}"


def _example(field: FieldInfo) -> str:
    """A value that is allowed: a stated example, else the default, else the range's end."""
    if field.examples:
        return typed(field.examples[0])
    if field.default is not None and not field.is_required():
        return typed(field.default)
    likely = (*_stated(_schema(field)), 1, 0.5, 2, "name", [1])
    return typed(next(filter(lambda value: _takes(field, value), likely), None))


def _meant(seen: Any, field: FieldInfo) -> str | None:
    """The allowed value that was most probably meant: another word, 0.1 for 0,1, [3] for 3."""
    if isinstance(seen, str):
        for part in _branches(_schema(field)):
            guess = did_you_mean(seen, [v for v in _stated(part) if isinstance(v, str)])
            if guess:
                return guess
    texts = [f"[{seen}]"]
    texts += [seen.replace(",", ".")] if re.fullmatch(r"-?\d+,\d+", str(seen)) else []
    return next((text for text in texts if _takes(field, _parsed(text))), None)


def _branches(schema: dict[str, Any]) -> list[dict[str, Any]]:
    branches: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return branches


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _takes(field: FieldInfo, value: Any) -> bool:
    try:
        _adapter(field).validate_python(value)
    except ValidationError:
        return False
    return value is not None
