from pipeline.config.image_toml import ImageSpec
from pipeline.locks.image_lock import LockFiles, check_lock
from tests.unit.conftest import CheckoutFolder

SPEC = ImageSpec(description="x")


def test_what_pixi_reads_is_found(checkout: CheckoutFolder) -> None:
    """Packages by path, folders of wheels and scripts, each once, in the shortest way; not what is not there."""
    for file in ("libs/mine/pyproject.toml", "libs/other.py", "wheels/a.whl", "on.sh", "set/x.sh"):
        checkout.write(f"small/{file}", "")
    manifest = """
        [pypi-dependencies]
        mine = { path = "libs/mine" }
        gone = { path = "./gone" }
        [pypi-options]
        find-links = [{ path = "wheels" }]
        [activation]
        scripts = ["on.sh"]
        [feature.x.target.win-64.activation]
        scripts = ["set/x.sh"]
        [feature.x.pypi-dependencies]
        all = { path = "./libs/" }
        """
    checkout.write("small/pixi.toml", manifest)
    held = check_lock(LockFiles(checkout.image), SPEC)
    assert held.sources == {"libs": True, "on.sh": False, "set/x.sh": False, "wheels": True}
    assert held.scripts == ("on.sh",)


def test_a_package_of_the_folder_itself_is_all_that_is_in_it(checkout: CheckoutFolder) -> None:
    """But for the manifest and the lock, which are there anyway, and what belongs to us and to tools."""
    for file in ("pyproject.toml", "src/mine/a.py", "README.md", ".pixi/envs/x", "base.lock", "__pycache__/a.pyc"):
        checkout.write(f"small/{file}", "")
    checkout.write("small/pixi.toml", '[pypi-dependencies]\nmine = { path = ".", editable = true }\n')
    assert check_lock(LockFiles(checkout.image), SPEC).sources == {
        "README.md": False,
        "pyproject.toml": False,
        "src": True,
    }
