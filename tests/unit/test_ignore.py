"""Nothing of a checkout is read that `Ignore` should have left out."""

import inspect
from typing import Any

import dagger
import pytest
from dagger.mod._resolver import Function  # the SDK's own reader of annotations, which has no public name

from pipeline.errors import Code
from pipeline.git.upload_filter import HISTORY_LEFT_OUT, LEFT_OUT, WITHOUT_IGNORE, require_filter
from pipeline.main import Pipeline
from tests.unit.refusals import refused

#: Functions that pass credentials to the functions after them, and read no folder.
READS_NOTHING = {"with_build_secret", "with_registry_auth", "with_channel_auth"}


def functions() -> dict[str, Function[Any, Any]]:
    """The module's functions as the SDK registers them, by their names in Python."""
    module = Pipeline.__dagger_module__  # type: ignore[attr-defined]  # set by @object_type
    return {function.original_name: function for function in module.get_object("Pipeline").functions.values()}


def test_every_folder_of_a_checkout_leaves_something_out() -> None:
    """The SDK finds the patterns of each directory argument, with the folder they are of."""
    module = Pipeline.__dagger_module__  # type: ignore[attr-defined]  # set by @object_type
    main = module.get_object("Pipeline")
    main.get_constructor(module._converter)  # noqa: SLF001 -- as the SDK registers it
    found = {
        f"{name}({parameter.name})": (parameter.default_path, tuple(parameter.ignore or ()))
        for name, function in main.functions.items()
        for parameter in function.parameters.values()
        if parameter.resolved_type is dagger.Directory
    }
    assert found == {"(source)": ("/", LEFT_OUT), "release(checkout)": ("/", HISTORY_LEFT_OUT)}


@pytest.mark.parametrize("left_out", [LEFT_OUT, HISTORY_LEFT_OUT])
def test_a_token_stays_where_it_is(left_out: tuple[str, ...]) -> None:
    """Of .git nothing goes to the engine but what is named: not its configuration."""
    kept = {pattern for pattern in left_out if pattern.startswith("!.git/")}
    assert left_out.index(".git/*") < min(left_out.index(pattern) for pattern in kept)
    assert "!.git/config" not in kept


class TouchedError(Exception):
    """Something of a checkout was asked for."""


class Untouchable:
    """A checkout that says when anything is asked of it."""

    def __getattr__(self, name: str) -> None:
        raise TouchedError(name)


async def call(monkeypatch: pytest.MonkeyPatch, name: str, version: str) -> None:
    """Call a function with all that it needs, on an engine of a release."""

    async def fake_version(_: dagger.Client) -> str:
        return version

    monkeypatch.setattr(dagger.Client, "version", fake_version)
    needed = {
        argument: Untouchable() if parameter.resolved_type is dagger.Directory else "given"
        for argument, parameter in functions()[name].parameters.items()
        if parameter.signature.default is inspect.Parameter.empty
    }
    await getattr(Pipeline(source=Untouchable()), name)(**needed)  # type: ignore[call-arg]


@pytest.mark.asyncio
@pytest.mark.parametrize("name", sorted({name for name in functions() if name} - READS_NOTHING))
async def test_an_engine_that_leaves_nothing_out_gets_nothing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Each function ends before it has read anything of the checkout; on another release it reads it."""
    for version in WITHOUT_IGNORE:
        with refused(Code.ENGINE_UNSUPPORTED, f"Dagger {version}", "v0.21.8", "docs/running.md"):
            await call(monkeypatch, name, version)
    with pytest.raises(TouchedError):
        await call(monkeypatch, name, "v0.21.8")


@pytest.mark.parametrize("version", ["v0.19.10", "v0.20.8", "v0.21.1", "v0.21.8"])
def test_other_releases_are_used(version: str) -> None:
    """The sandbox's, and each that has learnt it again."""
    require_filter(version)
