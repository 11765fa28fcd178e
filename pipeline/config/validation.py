"""Say in one sentence what a settings file says wrongly, with the nearest right key."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

import tomli
from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from pipeline.errors import Code, SpecError

#: Findings that a message names before it only counts them.
NAMED: Final = 3


class FileSettings(BaseSettings):
    """Settings that come from one file alone: a build must not depend on the environment it was started from."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what :func:`validate` read, and nothing else."""
        return (init_settings,)


def read_toml(path: Path, name: str) -> dict[str, Any]:
    """Read a TOML file; ``name`` is what messages call it.

    Raises:
        SpecError: the file is not TOML, or not UTF-8.
    """
    try:
        return tomli.loads(path.read_text(encoding="utf-8-sig"))
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(Code.TOML_INVALID, f"{name} is not valid TOML: {error}; correct it there") from error


def validate[T: FileSettings](model: type[T], values: Mapping[str, Any], name: str, table: Sequence[str] = ()) -> T:
    """Make settings from the values of a file that messages call ``name``.

    Args:
        model: what is made.
        values: what the file says.
        name: what messages call it; more may follow the file's path after a blank.
        table: the way to the table of the file that has the values.

    Raises:
        SpecError: a key is unknown or missing, or its value is wrong; all of them are named.
    """
    try:
        return model(**values)
    except ValidationError as error:
        first = (*table, *error.errors()[0]["loc"])
        # A key that is missing is wanted in the table around it.
        ways = [first[:length] for length in range(len(first), 0, -1)]
        raise SpecError(
            Code.KEY_INVALID, f"{name}: {explain(error, model)}", at={name.partition(" ")[0]: ways}
        ) from error


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Say what a validation error found, each by its key as it stands in the file."""
    return "; ".join(_sentence(found["type"], found["loc"], found["msg"], model) for found in error.errors())


def nearest(word: str, words: Iterable[str]) -> str:
    """A remedy for a misspelt word: the nearest of the right ones, or all of them."""
    known = sorted(words)
    match = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if match:
        return f"did you mean '{match[0]}'?"
    return f"there are: {', '.join(known)}" if known else "there are none"


def listed(found: Sequence[str]) -> str:
    """Several findings in one sentence: the first ones in full, the others counted."""
    text = "; ".join(found[:NAMED])
    return f"{text}; and {len(found) - NAMED} more" if len(found) > NAMED else text


def _sentence(kind: str, location: tuple[int | str, ...], message: str, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        return f"unknown key '{key}'; {nearest(str(location[-1]), _keys(model, location[:-1]))}"
    if kind == "missing":
        return f"key '{key}' is missing; add it"
    message = message.removeprefix("Value error, ")
    # What is wrong with several keys together has no place of its own, and names them.
    return f"key '{key}': {message}" if key else message


def _keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that may stand in the table at a location."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The settings class in an annotation such as ``tuple[File, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _model_in(argument))), None)
