import pytest

from pipeline.errors import SpecError
from pipeline.settings import Settings, load_settings
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
        match=r"^pyproject\.toml \[tool\.pipeline\]: unknown key 'probe-timeout'; did you mean 'probe_timeout'\?$",
    ):
        load_settings(checkout.path)


def test_settings_cannot_be_changed() -> None:
    """What was read stays as it was read."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().base = "other"
