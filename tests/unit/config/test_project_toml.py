import pytest

from pipeline.config.project_toml import Settings, load_settings
from pipeline.errors import SpecError
from tests.unit.conftest import CheckoutFolder


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
