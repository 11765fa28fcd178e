"""Read and validate settings files; errors name each invalid key and the nearest valid one."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

import tomli
from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from pipeline.errors import Code, SpecError

#: Number of findings that a message lists; it counts the rest.
NAMED: Final = 3


class FileSettings(BaseSettings):
    """Settings from one file alone: a build must not depend on environment variables of its caller."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use only the values that :func:`validate` passes in."""
        return (init_settings,)


def read_toml(path: Path, name: str) -> dict[str, Any]:
    """Read a TOML file; messages call it ``name``.

    Raises:
        SpecError: the file is not valid TOML in UTF-8.
    """
    try:
        return tomli.loads(path.read_text(encoding="utf-8-sig"))
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(Code.TOML_INVALID, f"{name} is not valid TOML: {error}; correct it there") from error


def validate[T: FileSettings](model: type[T], values: Mapping[str, Any], name: str, table: Sequence[str] = ()) -> T:
    """Create settings from the values of a file.

    Args:
        model: class of the settings.
        values: content of the table.
        name: name of the file in messages: its path, and after a blank more if needed.
        table: path of the table in the file.

    Raises:
        SpecError: keys are unknown or missing, or have invalid values; the message names all of them.
    """
    try:
        return model(**values)
    except ValidationError as error:
        first = (*table, *error.errors()[0]["loc"])
        # A missing key has no line: the nearest existing table above it is where it belongs.
        paths = [first[:length] for length in range(len(first), 0, -1)]
        raise SpecError(
            Code.KEY_INVALID, f"{name}: {explain(error, model)}", at={name.partition(" ")[0]: paths}
        ) from error


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Describe a validation error in a sentence that names each key by its path in the file."""
    details = error.errors()
    # A list without its invalid items can be too short: a second finding about the same mistake.
    inner = {detail["loc"][:length] for detail in details for length in range(1, len(detail["loc"]))}
    found = [detail for detail in details if not (detail["type"] == "too_short" and detail["loc"] in inner)]
    return "; ".join(_sentence(detail["type"], detail["loc"], detail["msg"], model) for detail in found)


def nearest(word: str, words: Iterable[str]) -> str:
    """Return a remedy for a misspelt word: the most similar valid word, or all valid words."""
    known = sorted(words)
    match = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if match:
        return f"did you mean '{match[0]}'?"
    return f"there are: {', '.join(known)}" if known else "there are none"


def listed(findings: Sequence[str]) -> str:
    """Join findings in one sentence: the first ones in full, the number of the others."""
    text = "; ".join(findings[:NAMED])
    return f"{text}; and {len(findings) - NAMED} more" if len(findings) > NAMED else text


def _sentence(kind: str, location: tuple[int | str, ...], message: str, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        return f"unknown key '{key}'; {nearest(str(location[-1]), _keys(model, location[:-1]))}"
    if kind == "missing":
        return f"key '{key}' is missing; add it"
    message = message.removeprefix("Value error, ")
    # An error about several keys together has no location; its message names the keys.
    return f"key '{key}': {message}" if key else message


def _keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the valid keys of the table at a location."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the settings class in an annotation such as ``tuple[File, ...]``; None if there is none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for argument in get_args(annotation) if (model := _model_in(argument))), None)
