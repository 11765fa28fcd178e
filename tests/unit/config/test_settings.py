import re
from pathlib import Path

import pytest

from pipeline.config.settings import OWN_FILE, Settings, load_settings
from pipeline.errors import SpecError
from tests.unit.conftest import CheckoutFolder

ROOT = Path(__file__).parents[3]


def test_no_table_means_the_defaults(checkout: CheckoutFolder) -> None:
    """A checkout that says nothing gets what the module thinks best."""
    assert load_settings(checkout.path) == Settings()


def test_no_file_means_the_defaults(checkout: CheckoutFolder) -> None:
    """A checkout of images needs no pyproject.toml."""
    checkout.remove("pyproject.toml")
    assert load_settings(checkout.path) == Settings()


def test_the_table_is_read(checkout: CheckoutFolder) -> None:
    """What [tool.pipeline] says holds."""
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
    ("text", "sentence"),
    [
        ("probe-timeout = 7\n", "images.toml: unknown key 'probe-timeout'; did you mean 'probe_timeout'?"),
        ("probe_timeout = 0\n", "images.toml: key 'probe_timeout': Input should be greater than 0"),
        ('trusted_root = "nowhere"\n', "images.toml: key 'trusted_root': there is no file 'nowhere' in "),
    ],
)
def test_an_error_names_the_file_and_the_key(checkout: CheckoutFolder, text: str, sentence: str) -> None:
    """The line to change is on top of that file, and not below a table."""
    checkout.write("images.toml", text)
    with pytest.raises(SpecError) as refused:
        load_settings(checkout.path)
    assert refused.value.message.startswith(sentence)
    assert (text.split(maxsplit=1)[0],) in refused.value.at["images.toml"]


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
    with pytest.raises(SpecError) as refused:
        load_settings(checkout.path)
    assert refused.value.message == (
        "images.toml and pyproject.toml [tool.pipeline] both have settings; leave them in one of the two"
    )


def test_an_unknown_key_is_refused(checkout: CheckoutFolder) -> None:
    """A misspelt setting is told with the one that was meant."""
    checkout.write("pyproject.toml", "[tool.pipeline]\nprobe-timeout = 7\n")
    with pytest.raises(
        SpecError,
        match=r"^pyproject\.toml \[tool\.pipeline\]: unknown key 'probe-timeout'; did you mean 'probe_timeout'\? \[k",
    ):
        load_settings(checkout.path)


def test_settings_cannot_be_changed() -> None:
    """What was read stays as it was read."""
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
    for value in ("../outside.json", str(outside), "link.json"):
        with pytest.raises(SpecError) as refused:
            read(value)
        assert refused.value.message == (
            f"pyproject.toml [tool.pipeline]: key '{key}': '{value}' leaves the checkout; put the file itself there, "
            "and name it"
        )
    for value in ("sigstore/other.json", "sigstore"):
        with pytest.raises(SpecError, match=rf"key '{key}': there is no file '{value}' in .*; add it or correct"):
            read(value)
    assert refused.value.at == {"pyproject.toml": (("tool", "pipeline", key),)}
