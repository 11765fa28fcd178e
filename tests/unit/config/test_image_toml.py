import pytest

from pipeline.config.image_toml import find_images, load_spec
from pipeline.errors import SpecError
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
    assert (spec.description, spec.environment, spec.cuda) == ("A small image", "default", None)
    assert (spec.platforms, spec.probes.scripts) == (("linux/amd64",), ("python",))
    assert (spec.repositories, spec.size_budget) == ((), None)


def test_the_environment_of_the_shell_says_nothing(checkout: CheckoutFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is called like a key does not change an image."""
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("BASE", "evil")
    spec = load_spec(checkout.path, "small")
    assert (spec.environment, spec.base) == ("default", None)


def test_a_missing_image_is_answered_with_the_nearest(checkout: CheckoutFolder) -> None:
    """A misspelt image is told with the name that was meant."""
    with pytest.raises(
        SpecError, match=r"^there is no image 'smal' \(no smal/image.toml\); did you mean 'small'\? \[image-unknown\]$"
    ):
        load_spec(checkout.path, "smal")


def test_a_missing_image_is_answered_with_all_when_none_is_near(checkout: CheckoutFolder) -> None:
    """A name that resembles none is told with the names there are."""
    with pytest.raises(SpecError, match=r"; there are: small \[image-unknown\]$"):
        load_spec(checkout.path, "zzz")


def test_an_image_cannot_be_a_path(checkout: CheckoutFolder) -> None:
    """An image is named, not located: a path to a folder with an image.toml is not one."""
    with pytest.raises(SpecError):
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
        (
            "description = 'x'\n[probes]\nscripts = ['roott']",
            r"key 'probes\.scripts\.0': Input should be 'python', 'root' or 'tensorflow'",
        ),
        ("description = 'x'\n[[files]]\nsource = '../a'\npath = '/a'", r"'\.\./a' leaves the image's folder"),
        (
            "description = 'x'\n[[files]]\nsource = '/etc/passwd'\npath = '/a'",
            r"'/etc/passwd' leaves the image's folder",
        ),
        ("description = 'x'\n[[files]]\nsource = 'a'\npath = 'a'", r"'a' is not an absolute path; start it with '/'"),
        ("description = 'x'\n[[files]]\nsource = 'a'\npath = '/a'\nmode = '9'", r"'9' is not a file mode"),
        ("description = 'x'\n[[files]]\nsource = 'a'\npath = '/a/'", r"'/a/' is a folder; name the file in it"),
        (
            "description = 'x'\n[[files]]\nsource = 'a'\npath = '/a'\nmode = '0640'",
            r"'0640' does not let every user read",
        ),
        (
            "description = 'x'\n[[files]]\nsource = 'a'\npath = '/a'\nmode = '0666'",
            r"'0666' does not let every user read",
        ),
        (
            "description = 'x'\n[[files]]\npath = '/a'",
            r"key 'files\.0': the file for /a needs either 'source' or 'url'",
        ),
        (
            "description = 'x'\n[[files]]\nurl = 'https://example.org/a'\npath = '/a'",
            r"key 'files\.0': the file for /a needs 'sha256' where it has 'url'",
        ),
        (
            "description = 'x'\n[[files]]\nurl = 'https://example.org/a'\nsha256 = 'main'\npath = '/a'",
            r"key 'files\.0\.sha256': String should match pattern",
        ),
        (
            "description = 'x'\n" + "[[files]]\nsource = 'pixi.toml'\npath = '/a'\n" * 2,
            r"key 'files': two files have the path '/a'",
        ),
        (
            "description = 'x'\n[[files]]\nsource = 'a'\npath = '/a'",
            r"key 'files\.0\.source': there is no file small/a; add it",
        ),
        ("description = 'x'\n[env]\n'A-B' = 'x'", r"key 'env': 'A-B' is not the name of a variable"),
        ("description = 'x'\nsize_budget = '4 loaves'", r"key 'size_budget': could not interpret byte unit: loaves"),
        ("description = 'x'\nplatforms = ['linux/arm']", r"key 'platforms\.0': Input should be 'linux/amd64'"),
        ("description = 'x'\nplatforms = []", r"key 'platforms': Tuple should have at least 1 item"),
        (
            "description = 'x'\nplatforms = ['linux/arm64', 'linux/arm64']",
            r"key 'platforms': 'linux/arm64' stands there twice",
        ),
        (
            "description = 'x'\nrepositories = ['ghcr.io/a:b']",
            r"key 'repositories': 'ghcr\.io/a:b' is not a repository",
        ),
        (
            "description = 'x'\ndockerfile = '../Dockerfile'",
            r"key 'dockerfile': '\.\./Dockerfile' leaves the image's folder",
        ),
        (
            "description = 'x'\ndockerfile = 'Dockerfile'",
            r"key 'dockerfile': there is no file small/Dockerfile; add it",
        ),
        (
            "description = 'x'\ndockerfile = 'Dockerfile'\ncuda = '12.8'\nenvironment = 'ml'",
            r"keys 'environment', 'cuda' are of an image that pixi installs, but 'dockerfile' is there; leave one",
        ),
        (
            "description = 'x'\n[build_args]\nA = 'b'",
            r"key 'build_args' is of a Dockerfile, but 'dockerfile' is not there; add it or leave that out",
        ),
        ("description = x", r"is not valid TOML: .* \(at line 1, column 15\)"),
    ],
)
def test_what_cannot_be_is_refused(checkout: CheckoutFolder, text: str, message: str) -> None:
    """A wrong image.toml is refused in a sentence with the file, the key and the remedy."""
    checkout.write("small/image.toml", text)
    with pytest.raises(SpecError, match=rf"^small/image\.toml.*{message}") as raised:
        load_spec(checkout.path, "small")
    assert "\n" not in raised.value.message


def test_everything_wrong_is_told_at_once(checkout: CheckoutFolder) -> None:
    """Two mistakes are told in one go."""
    checkout.write("small/image.toml", "descripton = 'x'\ncuda = 'x'")
    with pytest.raises(SpecError, match="descripton") as raised:
        load_spec(checkout.path, "small")
    assert "'description' is missing" in raised.value.message
    assert "key 'cuda'" in raised.value.message


def test_a_size_is_read_as_people_write_it(checkout: CheckoutFolder) -> None:
    """A budget has a unit, of a thousand or of 1024."""
    checkout.write("small/image.toml", "description = 'x'\nsize_budget = '4 GB'")
    assert load_spec(checkout.path, "small").size_budget == 4_000_000_000


@pytest.mark.parametrize(
    ("link", "text", "message"),
    [
        (
            "small/a",
            "[[files]]\nsource = 'a'\npath = '/a'",
            r"small/image\.toml: key 'files\.0\.source': small/a leaves",
        ),
        (
            "small/Dockerfile",
            "dockerfile = 'Dockerfile'",
            r"small/image\.toml: key 'dockerfile': small/Dockerfile leaves",
        ),
        ("small/pixi.toml", "", r"small/pixi\.toml leaves"),
        ("small/pixi.lock", "", r"small/pixi\.lock leaves"),
    ],
)
def test_a_symlink_that_leaves_the_folder_is_refused(
    checkout: CheckoutFolder, link: str, text: str, message: str
) -> None:
    """A link to a file of another folder is refused by the key that names it, or by its name where no key does."""
    checkout.write("other/secret", "secret")
    checkout.write("small/image.toml", f"description = 'x'\n{text}")
    path = checkout.path / link
    path.unlink(missing_ok=True)
    path.symlink_to("../other/secret")
    with pytest.raises(
        SpecError, match=rf"^{message} the image's folder by a symlink; put the file itself there \[file-missing\]$"
    ):
        load_spec(checkout.path, "small")


def test_a_folder_that_is_a_symlink_is_refused(checkout: CheckoutFolder) -> None:
    """An image's folder is a folder of the checkout."""
    (checkout.path / "linked").symlink_to("small")
    with pytest.raises(SpecError, match=r"^linked/image\.toml leaves the image's folder by a symlink"):
        load_spec(checkout.path, "linked")


def test_a_symlink_that_stays_is_followed(checkout: CheckoutFolder) -> None:
    """A link from one file of the folder to another is one of the ways to name it."""
    checkout.write("small/image.toml", "description = 'x'\n[[files]]\nsource = 'a'\npath = '/a'")
    (checkout.image / "a").symlink_to("pixi.toml")
    assert load_spec(checkout.path, "small").files[0].source == "a"
