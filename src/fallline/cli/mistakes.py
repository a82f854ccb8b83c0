"""What is wrong with a command line: typer's findings, in the four parts of every message."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from fallline.errors import ConfigError, Fault, did_you_mean, unknown_name

NO_COMMAND = "No such command"
IS_NONE = "is not one of"
CHOICES = ". Choose from:"
EXTRA = "Got unexpected extra argument"


class Commands(TyperGroup):
    """Commands whose unknown options and wrong values are answered as all mistakes are.

    Ctrl-C ends them with 130, a reader of their output that has gone (`| head`) with 141, as
    shells expect; SIGTERM's 143 comes as SystemExit.
    """

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; raises ConfigError for what it does not take."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:
            raise typer.Exit(141) from None
        except Exception as error:  # typer keeps its classes of them to itself
            fault = _fault_of(error)
            if fault is None:
                raise
            raise ConfigError(fault) from error


def _fault_of(error: Any) -> Fault | None:
    ctx, option = getattr(error, "ctx", None), getattr(error, "option_name", None)
    if ctx is not None and option is not None and option not in _options(ctx):
        return _unknown_option(ctx, option, sys.argv[1:])
    if ctx is not None and isinstance(error, typer.BadParameter):
        return _bad_value(error, ctx)
    said = str(getattr(error, "message", ""))
    if ctx is not None and said.startswith(NO_COMMAND):
        word = _quoted(said.partition(". Did you mean")[0])
        return unknown_name("command", word, ctx.command.list_commands(ctx))
    if ctx is not None and said.startswith(EXTRA):
        words = said.partition("(")[2].partition("(")[2].rstrip(")")
        hint = "several values are joined by commas (sgd,adamw), images are named by --data PATH"
        return Fault(f"{ctx.command_path} takes no further words", words, next=hint)
    if option is not None and "requires" in said:
        words = f"fallline {' '.join(sys.argv[1:])}"
        return Fault(f"{option} needs a value behind it", words, next="fallline COMMAND --help")
    return None


def _bad_value(error: typer.BadParameter, ctx: Any) -> Fault:
    from pydantic import ValidationError  # only now: --help has no need of it

    cause, param = error.__cause__, error.param
    if param is not None and isinstance(cause, ValidationError):
        found = cause.errors()[0]
        what, seen = f"{param.opts[0]} does not take this value", repr(found["input"])
        if found["type"].startswith("int_"):
            return Fault(what, seen, "a whole number", _help(ctx))
        if found["type"] == "greater_than_equal":
            return Fault(what, seen, f"a whole number from {found['ctx']['ge']} up", _help(ctx))
        if found["type"] == "less_than_equal":
            return Fault(what, seen, f"a whole number up to {found['ctx']['le']}", _help(ctx))
    if IS_NONE in error.message:
        before, _, after = error.message.partition(IS_NONE)
        return unknown_name("choice", _quoted(before), re.findall("'([^']*)'", after), _help(ctx))
    said = error.format_message().replace("Value error, ", "").rstrip(".")
    what, _, choices = said.partition(CHOICES)
    return Fault(what, None, " ".join(choices.split()) or None, _help(ctx))


def _quoted(text: str) -> str:
    """What stands between the first quotation mark and the last one like it."""
    found = re.search("(['\"])(.*)\\1", text)
    return found[2] if found else text


def _help(ctx: Any) -> str:
    return f"{ctx.command_path} --help"


def _options(ctx: Any) -> list[str]:
    return [option for param in ctx.command.params for option in param.opts]


def _unknown_option(ctx: Any, option: str, words: Sequence[str]) -> Fault:
    """An option that is none; where a setting has its name, how to set that."""
    known = [name for name in (*_options(ctx), "--help") if name.startswith("--")]
    setting = _setting(option)
    if setting:
        train = "" if "--set" in known else "fallline train "
        hint = f"it is a setting: {train}--set {setting}={_value_after(option, words)}"
    else:
        guess = did_you_mean(option, known)
        hint = f"did you mean {guess}?" if guess else _help(ctx)
    return Fault(f"unknown option of {ctx.command_path}", option, ", ".join(known), hint)


def _setting(option: str) -> str | None:
    """The setting that an option's name is of, by its short name where it has one."""
    from fallline.training.faults import setting_names

    keys = setting_names()
    named = {key.rpartition(".")[2]: key for key in keys} | {key: key for key in keys}
    return named.get(option.lstrip("-").replace("-", "_"))


def _value_after(option: str, words: Sequence[str]) -> str:
    for word, following in zip(words, [*words[1:], "-"], strict=True):
        name, equals, value = word.partition("=")
        if name == option:
            return value if equals else "..." if following.startswith("-") else following
    return "..."
