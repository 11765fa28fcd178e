import pytest

from pipeline.config.image_toml import find_images, load_spec
from pipeline.errors import Code, SpecError
from tests.unit.conftest import CheckoutFolder
from tests.unit.refusals import refused


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
    """The message for a misspelt image has the name that was meant."""
    with refused(Code.IMAGE_UNKNOWN, "'smal'", "smal/image.toml", "'small'", kind=SpecError):
        load_spec(checkout.path, "smal")


def test_a_missing_image_is_answered_with_all_when_none_is_near(checkout: CheckoutFolder) -> None:
    """The message for a name that resembles none has all names."""
    with refused(Code.IMAGE_UNKNOWN, "'zzz'", "there are: small", kind=SpecError):
        load_spec(checkout.path, "zzz")


def test_an_image_cannot_be_a_path(checkout: CheckoutFolder) -> None:
    """An image is named, not located: a path to a folder with an image.toml is not one."""
    with refused(Code.IMAGE_UNKNOWN, "'../small'", kind=SpecError):
        load_spec(checkout.path / "small", "../small")


@pytest.mark.parametrize(
    ("text", "key", "facts"),
    [
        ("enviroment = 'ml'", "enviroment", ["'environment'"]),
        ("[[files]]\nsorce = 'a'\npath = '/a'", "files.0.sorce", ["'source'"]),
        ("cuda = 12.8", "cuda", ["string"]),
        ("cuda = 'twelve'", "cuda", ["pattern"]),
        ("sif = 'yes'", "sif", ["boolean"]),
        ("[probes]\nscripts = ['roott']", "probes.scripts.0", ["'python', 'root' or 'tensorflow'"]),
        ("[[files]]\nsource = '../a'\npath = '/a'", "files.0.source", ["'../a'", "image's folder"]),
        ("[[files]]\nsource = '/etc/passwd'\npath = '/a'", "files.0.source", ["'/etc/passwd'", "image's folder"]),
        ("[[files]]\nsource = 'a'\npath = 'a'", "files.0.path", ["'a'", "absolute path", "'/'"]),
        ("[[files]]\nsource = 'a'\npath = '/a/'", "files.0.path", ["'/a/'", "folder"]),
        ("[[files]]\nsource = 'a'\npath = '/a'\nmode = '9'", "files.0.mode", ["'9'", "octal", "'0644'"]),
        ("[[files]]\nsource = 'a'\npath = '/a'\nmode = '0640'", "files.0.mode", ["'0640'", "every user", "'0644'"]),
        ("[[files]]\nsource = 'a'\npath = '/a'\nmode = '0666'", "files.0.mode", ["'0666'", "every user", "'0644'"]),
        ("[[files]]\npath = '/a'", "files.0", ["/a", "'source'", "'url'"]),
        ("[[files]]\nurl = 'https://example.org/a'\npath = '/a'", "files.0", ["/a", "'sha256'", "'url'"]),
        (
            "[[files]]\nurl = 'https://example.org/a'\nsha256 = 'main'\npath = '/a'",
            "files.0.sha256",
            ["pattern"],
        ),
        ("[[files]]\nsource = 'pixi.toml'\npath = '/a'\n" * 2, "files", ["two files", "'/a'"]),
        ("[env]\n'A-B' = 'x'", "env", ["'A-B'"]),
        ("[env]\nPATH = '/opt/x/bin'", "env", ["'PATH'", "no effect", "Dockerfile"]),
        ("dockerfile = 'D'\n[env]\nPATH = '/opt/x/bin'", "env", ["'PATH'", "no effect", "ENV PATH"]),
        ("size_budget = '4 loaves'", "size_budget", ["loaves"]),
        ("platforms = ['linux/arm']", "platforms.0", ["'linux/amd64'"]),
        ("platforms = []", "platforms", ["at least 1"]),
        ("platforms = ['linux/arm64', 'linux/arm64']", "platforms", ["'linux/arm64'", "twice"]),
        ("repositories = ['ghcr.io/a:b']", "repositories", ["'ghcr.io/a:b'", "without a tag"]),
        ("dockerfile = '../Dockerfile'", "dockerfile", ["'../Dockerfile'", "image's folder"]),
    ],
)
def test_an_invalid_key_is_refused(checkout: CheckoutFolder, text: str, key: str, facts: list[str]) -> None:
    """One line names the file, the key, and the valid values."""
    checkout.write("small/image.toml", f"description = 'x'\n{text}")
    with refused(Code.KEY_INVALID, f"'{key}'", *facts, at={"small/image.toml": key}, kind=SpecError) as raised:
        load_spec(checkout.path, "small")
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("dockerfile = 'Dockerfile'\ncuda = '12.8'\nenvironment = 'ml'", ["'environment'", "'cuda'"]),
        ("[build_args]\nA = 'b'", ["'build_args'"]),
    ],
)
def test_keys_of_the_other_kind_of_image_are_refused(checkout: CheckoutFolder, text: str, keys: list[str]) -> None:
    """The message names them, and the key that decides about the kind."""
    checkout.write("small/image.toml", f"description = 'x'\n{text}")
    with refused(Code.KEY_INVALID, *keys, "'dockerfile'", at={"small/image.toml": ""}, kind=SpecError):
        load_spec(checkout.path, "small")


def test_a_description_is_required(checkout: CheckoutFolder) -> None:
    """The message names the missing key."""
    checkout.write("small/image.toml", "environment = 'ml'")
    at = {"small/image.toml": "description"}
    with refused(Code.KEY_INVALID, "'description'", "missing", at=at, kind=SpecError):
        load_spec(checkout.path, "small")


@pytest.mark.parametrize(
    ("text", "key", "file"),
    [
        ("[[files]]\nsource = 'a'\npath = '/a'", "files.0.source", "small/a"),
        ("dockerfile = 'Dockerfile'", "dockerfile", "small/Dockerfile"),
    ],
)
def test_a_missing_file_is_refused(checkout: CheckoutFolder, text: str, key: str, file: str) -> None:
    """The message has the file, and the key that names it."""
    checkout.write("small/image.toml", f"description = 'x'\n{text}")
    with refused(Code.FILE_MISSING, f"'{key}'", f"no file {file}", at={"small/image.toml": key}, kind=SpecError):
        load_spec(checkout.path, "small")


@pytest.mark.parametrize("name", ["tls.key", "keys/id_ed25519", "server-key.pem", ".netrc"])
def test_a_private_key_is_refused(checkout: CheckoutFolder, name: str) -> None:
    """It is there, and is not uploaded: the message says so instead of "no file"."""
    checkout.write(f"small/{name}", "x\n")
    checkout.write("small/image.toml", f"description = 'x'\n[[files]]\nsource = '{name}'\npath = '/a'")
    at = {"small/image.toml": "files.0.source"}
    with refused(Code.FILE_MISSING, f"small/{name}", "private key", at=at, kind=SpecError):
        load_spec(checkout.path, "small")


def test_another_format_is_refused(checkout: CheckoutFolder) -> None:
    """The message has line and column."""
    checkout.write("small/image.toml", "description = x")
    with refused(Code.TOML_INVALID, "small/image.toml", "line 1, column 15", kind=SpecError):
        load_spec(checkout.path, "small")


def test_all_invalid_keys_are_reported_at_once(checkout: CheckoutFolder) -> None:
    """One message has several mistakes; the location is that of the first."""
    checkout.write("small/image.toml", "descripton = 'x'\ncuda = 'x'")
    at = {"small/image.toml": "description"}
    with refused(Code.KEY_INVALID, "'descripton'", "'description' is missing", "key 'cuda'", at=at, kind=SpecError):
        load_spec(checkout.path, "small")


def test_a_list_of_invalid_items_is_not_called_too_short(checkout: CheckoutFolder) -> None:
    """The item is the one mistake."""
    checkout.write("small/image.toml", 'description = "Small"\nplatforms = ["windows/amd64"]\n')
    at = {"small/image.toml": "platforms.0"}
    with refused(Code.KEY_INVALID, "key 'platforms.0'", "'linux/amd64'", at=at, kind=SpecError) as caught:
        load_spec(checkout.path, "small")
    assert "key 'platforms':" not in caught.value.message


def test_a_size_is_read_as_people_write_it(checkout: CheckoutFolder) -> None:
    """A budget has a unit, of a thousand or of 1024."""
    checkout.write("small/image.toml", "description = 'x'\nsize_budget = '4 GB'")
    assert load_spec(checkout.path, "small").size_budget == 4_000_000_000


@pytest.mark.parametrize(
    ("link", "text", "key"),
    [
        ("small/a", "[[files]]\nsource = 'a'\npath = '/a'", "files.0.source"),
        ("small/Dockerfile", "dockerfile = 'Dockerfile'", "dockerfile"),
        ("small/pixi.toml", "", None),
        ("small/pixi.lock", "", None),
    ],
)
def test_a_symlink_that_leaves_the_folder_is_refused(
    checkout: CheckoutFolder, link: str, text: str, key: str | None
) -> None:
    """The message has the link, and the key that names it if there is one."""
    checkout.write("other/secret", "secret")
    checkout.write("small/image.toml", f"description = 'x'\n{text}")
    path = checkout.path / link
    path.unlink(missing_ok=True)
    path.symlink_to("../other/secret")
    facts, at = ([f"'{key}'"], {"small/image.toml": key}) if key else ([], {})
    with refused(Code.FILE_MISSING, link, "symlink", *facts, at=at, kind=SpecError):
        load_spec(checkout.path, "small")


def test_a_folder_that_is_a_symlink_is_refused(checkout: CheckoutFolder) -> None:
    """An image's folder is a folder of the checkout."""
    (checkout.path / "linked").symlink_to("small")
    with refused(Code.FILE_MISSING, "linked/image.toml", "symlink", kind=SpecError):
        load_spec(checkout.path, "linked")


def test_a_symlink_that_stays_is_followed(checkout: CheckoutFolder) -> None:
    """A link from one file of the folder to another is one of the ways to name it."""
    checkout.write("small/image.toml", "description = 'x'\n[[files]]\nsource = 'a'\npath = '/a'")
    (checkout.image / "a").symlink_to("pixi.toml")
    assert load_spec(checkout.path, "small").files[0].source == "a"
