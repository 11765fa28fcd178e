import re
from pathlib import Path

import pytest

from pipeline.config.settings import OWN_FILE, Settings, load_settings
from pipeline.errors import Code, SpecError
from tests.unit.conftest import CheckoutFolder
from tests.unit.refusals import refused

ROOT = Path(__file__).parents[3]


def test_no_table_means_the_defaults(checkout: CheckoutFolder) -> None:
    """A checkout that says nothing gets what the module thinks best."""
    assert load_settings(checkout.path) == Settings()


def test_no_file_means_the_defaults(checkout: CheckoutFolder) -> None:
    """A checkout of images needs no pyproject.toml."""
    checkout.remove("pyproject.toml")
    assert load_settings(checkout.path) == Settings()


def test_the_table_is_read(checkout: CheckoutFolder) -> None:
    """A value in [tool.pipeline] overrides the default."""
    checkout.write("pyproject.toml", "[tool.pipeline]\nprobe_timeout = 7\n")
    assert load_settings(checkout.path).probe_timeout == 7


def test_a_file_of_its_own_is_read(checkout: CheckoutFolder) -> None:
    """A checkout of images needs no pyproject.toml to have settings."""
    checkout.remove("pyproject.toml")
    checkout.write("images.toml", "probe_timeout = 7\n")
    settings = load_settings(checkout.path)
    assert settings.probe_timeout == 7
    assert settings.file == OWN_FILE


@pytest.mark.parametrize(
    ("key", "value", "code", "fact"),
    [
        ("probe-timeout", "7", Code.KEY_INVALID, "'probe_timeout'"),
        ("probe_timeout", "0", Code.KEY_INVALID, "greater than 0"),
        ("trusted_root", '"nowhere"', Code.FILE_MISSING, "no file 'nowhere'"),
    ],
)
def test_an_error_names_the_file_and_the_key(
    checkout: CheckoutFolder, key: str, value: str, code: Code, fact: str
) -> None:
    """The line to change is on top of that file, and not below a table."""
    checkout.write("images.toml", f"{key} = {value}\n")
    with refused(code, f"'{key}'", fact, at={"images.toml": key}, kind=SpecError):
        load_settings(checkout.path)


def test_each_setting_is_documented() -> None:
    """The table of the documents has all of them."""
    documented = (ROOT / "docs/images.md").read_text().partition("## Settings for all images")[2].partition("\n## ")[0]
    keys = {key for row in documented.splitlines() for key in re.findall(r"`([a-z_]+)`", row.partition(" | ")[0])}
    assert keys == set(Settings.model_fields)


def test_settings_are_in_one_file(checkout: CheckoutFolder) -> None:
    """Nobody has to know which of two files wins."""
    checkout.write("images.toml", "")
    assert load_settings(checkout.path).file == OWN_FILE
    checkout.write("pyproject.toml", "[tool.pipeline]\nprobe_timeout = 7\n")
    at = {"pyproject.toml": "tool.pipeline"}
    with refused(Code.KEY_INVALID, "images.toml", "pyproject.toml [tool.pipeline]", at=at, kind=SpecError):
        load_settings(checkout.path)


def test_an_unknown_key_is_refused(checkout: CheckoutFolder) -> None:
    """The message for a misspelt setting has the one that was meant, and its table."""
    checkout.write("pyproject.toml", "[tool.pipeline]\nprobe-timeout = 7\n")
    facts = ["[tool.pipeline]", "'probe-timeout'", "'probe_timeout'"]
    at = {"pyproject.toml": "tool.pipeline.probe-timeout"}
    with refused(Code.KEY_INVALID, *facts, at=at, kind=SpecError):
        load_settings(checkout.path)


def test_settings_cannot_be_changed() -> None:
    """Settings stay as they were read."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().base = "other"


@pytest.mark.parametrize("key", ["signing_config", "trusted_root"])
def test_a_file_of_the_checkout_has_to_be_in_it(checkout: CheckoutFolder, key: str) -> None:
    """One that is there is taken; one that is not, a folder, and those outside are refused by the setting's name."""
    checkout.write("sigstore/file.json", "{}")
    outside = checkout.path.with_name("outside.json")
    outside.write_text("{}")
    (checkout.path / "link.json").symlink_to(outside)

    def read(value: str) -> Settings:
        checkout.write("pyproject.toml", f'[tool.pipeline]\n{key} = "{value}"\n')
        return load_settings(checkout.path)

    assert getattr(read("sigstore/file.json"), key) == "sigstore/file.json"
    at = {"pyproject.toml": f"tool.pipeline.{key}"}
    for value in ("../outside.json", str(outside), "link.json"):
        with refused(Code.FILE_MISSING, "[tool.pipeline]", f"'{key}'", f"'{value}' leaves", at=at, kind=SpecError):
            read(value)
    for value in ("sigstore/other.json", "sigstore"):
        with refused(Code.FILE_MISSING, "[tool.pipeline]", f"'{key}'", f"no file '{value}'", at=at, kind=SpecError):
            read(value)


def test_the_limit_of_parallel_work_is_by_cores_or_as_it_is_set(
    checkout: CheckoutFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cores are those of the engine's machine, where the settings are read."""
    monkeypatch.setattr("os.cpu_count", lambda: 12)
    assert load_settings(checkout.path).parallelism == 12
    checkout.write("pyproject.toml", "[tool.pipeline]\nparallelism = 2\n")
    assert load_settings(checkout.path).parallelism == 2
    checkout.write("pyproject.toml", "[tool.pipeline]\nparallelism = 0\n")
    at = {"pyproject.toml": "tool.pipeline.parallelism"}
    with refused(Code.KEY_INVALID, "'parallelism'", "greater than 0", at=at, kind=SpecError):
        load_settings(checkout.path)
