import pytest

from pipeline.errors import ImageNotFoundError, SpecError
from pipeline.spec import find_images, load_spec
from tests.unit.conftest import CheckoutFolder


def test_an_image_is_a_folder_with_an_image_toml(checkout: CheckoutFolder) -> None:
    """Folders with an image.toml are images, others and hidden ones are not."""
    checkout.write("another/image.toml", "description = 'x'")
    checkout.write("docs/index.md", "")
    checkout.write(".hidden/image.toml", "description = 'x'")
    assert find_images(checkout.path) == ["another", "small"]


def test_keys_have_defaults(checkout: CheckoutFolder) -> None:
    """A description is all that an image must have."""
    spec = load_spec(checkout.path, "small")
    assert (spec.description, spec.environment, spec.cuda, spec.probes) == (
        "A small image",
        "default",
        None,
        ("python",),
    )


def test_the_environment_of_the_shell_says_nothing(checkout: CheckoutFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is called like a key does not change an image."""
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("BASE", "evil")
    spec = load_spec(checkout.path, "small")
    assert (spec.environment, spec.base) == ("default", None)


def test_a_missing_image_is_answered_with_the_nearest(checkout: CheckoutFolder) -> None:
    """A misspelt image is told with the name that was meant."""
    with pytest.raises(
        ImageNotFoundError, match=r"^there is no image 'smal' \(no smal/image.toml\); did you mean 'small'\?$"
    ):
        load_spec(checkout.path, "smal")


def test_a_missing_image_is_answered_with_all_when_none_is_near(checkout: CheckoutFolder) -> None:
    """A name that resembles none is told with the names there are."""
    with pytest.raises(ImageNotFoundError, match=r"; there are: small$"):
        load_spec(checkout.path, "zzz")


def test_an_image_cannot_be_a_path(checkout: CheckoutFolder) -> None:
    """An image is named, not located: a path to a folder with an image.toml is not one."""
    with pytest.raises(ImageNotFoundError):
        load_spec(checkout.path / "small", "../small")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("description = 'x'\nenviroment = 'ml'", r"unknown key 'enviroment'; did you mean 'environment'\?"),
        (
            "description = 'x'\n[[files]]\nsorce = 'a'\npath = '/a'",
            r"unknown key 'files\.0\.sorce'; did you mean 'source'\?",
        ),
        ("environment = 'ml'", r"key 'description' is missing; add it"),
        ("description = 'x'\ncuda = 12.8", r"key 'cuda': Input should be a valid string"),
        ("description = 'x'\ncuda = 'twelve'", r"key 'cuda': String should match pattern"),
        ("description = 'x'\nprobes = ['roott']", r"key 'probes\.0': Input should be 'python', 'root' or 'tensorflow'"),
        ("description = 'x'\n[[files]]\nsource = '../a'\npath = '/a'", r"'\.\./a' leaves the image's folder"),
        (
            "description = 'x'\n[[files]]\nsource = '/etc/passwd'\npath = '/a'",
            r"'/etc/passwd' leaves the image's folder",
        ),
        ("description = 'x'\n[[files]]\nsource = 'a'\npath = 'a'", r"'a' is not an absolute path; start it with '/'"),
        ("description = 'x'\n[[files]]\nsource = 'a'\npath = '/a'\nmode = '9'", r"'9' is not a file mode"),
        ("description = 'x'\n[[files]]\nsource = 'a'\npath = '/a'", r"there is no file small/a; add it"),
        ("description = 'x'\nprobe_timeout = 0", r"key 'probe_timeout': Input should be greater than 0"),
        ("description = 'x'\n[env]\n'A-B' = 'x'", r"key 'env': 'A-B' is not the name of an environment variable"),
        ("description = x", r"is not valid TOML: .* \(at line 1, column 15\)"),
    ],
)
def test_what_cannot_be_is_refused(checkout: CheckoutFolder, text: str, message: str) -> None:
    """A wrong image.toml is refused in a sentence with the file, the key and the remedy."""
    checkout.write("small/image.toml", text)
    with pytest.raises(SpecError, match=rf"^small/image\.toml.*{message}") as raised:
        load_spec(checkout.path, "small")
    assert "\n" not in str(raised.value)


def test_everything_wrong_is_told_at_once(checkout: CheckoutFolder) -> None:
    """Two mistakes are told in one go."""
    checkout.write("small/image.toml", "descripton = 'x'\ncuda = 'x'")
    with pytest.raises(SpecError, match="descripton") as raised:
        load_spec(checkout.path, "small")
    assert "'description' is missing" in str(raised.value)
    assert "key 'cuda'" in str(raised.value)
