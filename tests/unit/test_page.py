"""The content of a page is decided from locks, image.toml and the answers of registries."""

import pytest

from pipeline.config.image_toml import ImageSpec
from pipeline.locks.lockfile import Package
from pipeline.page import (
    Repository,
    Tag,
    commands,
    describe_changes,
    describe_facts,
    describe_layers,
    describe_packages,
    layers_of,
    reference_of,
    sif_of,
)
from tests.unit.pages import PLACE, package, real

VIRTUAL = Package("virtual", "__cuda", "12.8")
GPU = ImageSpec.model_validate(
    {
        "description": "A",
        "cuda": "12.8",
        "platforms": ["linux/amd64", "linux/arm64"],
        "probes": {"servers": [{"name": "Lab", "command": ["start-lab", "a b"], "port": 8888, "path": "/api"}]},
    }
)
PLAIN = ImageSpec(description="A")


def held(*packages: Package) -> dict[tuple[str, str], Package]:
    """Packages as a lock holds them."""
    return {(each.kind, each.name): each for each in packages}


def test_packages_are_listed_from_the_largest() -> None:
    """Those without a size come last and have no layer; virtual packages are left out."""
    found = describe_packages(
        [package("b"), package("a"), package("c", None, license=None), package("big", 9_000_000), VIRTUAL]
    )
    assert [(each.name, each.layer[:7], each.license) for each in found] == [
        ("big", "1-big", "MIT"),
        ("a", "3-small", "MIT"),
        ("b", "3-small", "MIT"),
        ("c", "", ""),
    ]


def test_a_pypi_package_has_the_layer_of_its_metadata() -> None:
    """Its name is written there with underscores, and never mistaken for a conda package's."""
    names = layers_of([package("foo-bar", 9_000_000, kind="pypi"), package("foo-bar", 9_000_000)])
    assert names == {("pypi", "foo-bar"): "1-pypi-foo_bar", ("conda", "foo-bar"): "1-foo-bar"}


def test_layers_hold_all_that_has_a_size() -> None:
    """The real lock: each package is in one layer, in the image's order."""
    packages = describe_packages(real())
    layers = describe_layers(packages)
    assert len(packages) == 504
    assert sum(layer.packages for layer in layers) == 504
    assert sum(layer.size for layer in layers) == sum(each.size or 0 for each in packages)
    assert [layer.name for layer in layers] == sorted(layer.name for layer in layers)


def test_a_change_costs_the_layers_that_it_is_in() -> None:
    """A layer is pulled whole: the small package that changed, and the one beside it that did not."""
    rest = [package("large", 9_000_000), *(package(f"p{number}", 1000) for number in range(20))]
    changed = package("p0", 1000, sha256="other", version="2.0")
    found = describe_changes("small", "v1", PLACE, held(*rest), held(*rest[:1], changed, *rest[2:]))
    assert found.target is not None
    assert [change.name for change in found.target.changes] == ["p0"]
    layer = layers_of(rest)["conda", "p0"]
    beside = [key for key, name in layers_of(rest).items() if name == layer]
    assert 1 < len(beside) < 20
    assert (found.layers, found.pull) == (1, 1000 * len(beside))


def test_no_change_costs_nothing() -> None:
    """There is no line and nothing to pull."""
    found = describe_changes("small", "v1", PLACE, held(package("a")), held(package("a")))
    assert (found.target, found.summary, found.layers, found.pull) == (None, "", 0, 0)


def test_a_removed_package_changes_its_layer() -> None:
    """The rest of the layer is pulled; a layer that is gone is not."""
    found = describe_changes("small", "v1", PLACE, held(package("a"), package("big", 9_000_000)), held())
    assert (found.layers, found.pull) == (0, 0)
    assert found.summary.startswith("ml on linux-64: 2 removed; ")


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("Docker", "docker run --rm -it --gpus all hub/a:1 bash"),
        ("Apptainer", "apptainer exec --nv docker://hub/a:1 bash"),
        ("Lab (Docker)", "docker run --rm -it -p 8888:8888 hub/a:1 start-lab 'a b'"),
    ],
)
def test_commands_can_be_copied(title: str, text: str) -> None:
    """With GPUs where the image has CUDA, and quoted where words have spaces."""
    assert {command.title: command.text for command in commands("a_b", GPU, "hub/a:1")}[title] == text


def test_kubernetes_gets_a_name_that_it_takes() -> None:
    """An image's name may have what a pod's may not; a GPU is asked for where there is CUDA."""
    plain, gpu = (
        next(each.text for each in commands("My_image", spec, "hub/a:1") if each.title == "Kubernetes")
        for spec in (PLAIN, GPU)
    )
    assert plain == "kubectl run my-image --rm -it --restart=Never --image=hub/a:1 -- bash"
    assert '"nvidia.com/gpu":"1"' in gpu


def test_facts_that_are_not_known_are_left_out() -> None:
    """A Dockerfile says its base itself."""
    assert describe_facts(GPU, "base:1", "linux/arm64", "") == {
        "Environment": "default",
        "Base image": "base:1",
        "CUDA": "12.8",
        "Platform": "linux/arm64",
        "Other platforms": "linux/amd64",
    }
    dockerfile = ImageSpec(description="A", dockerfile="Dockerfile")
    assert describe_facts(dockerfile, "base:1", "linux/amd64", "1" * 40) == {
        "Dockerfile": "Dockerfile",
        "Platform": "linux/amd64",
        "Commit": "1" * 40,
    }


def test_commands_name_an_image_that_is_there() -> None:
    """The first repository that has a tag; the usual tag of the first one where nothing is known."""
    silent, there = Repository(name="a/x", failure="no"), Repository(name="b/x", tags=(Tag(name="main", digest=""),))
    assert reference_of([silent, there]) == "b/x:main"
    assert reference_of([silent]) == "a/x:latest"


def test_a_sif_is_pulled_where_there_is_one() -> None:
    """The first that a registry has; where none has answered, the usual one of an image with `sif = true`."""
    silent, empty = Repository(name="a/x", failure="no"), Repository(name="b/x")
    tags = (Tag(name="main", digest="sha256:1"), Tag(name="2026.2.0", digest="sha256:2", sif="sha256:3"))
    there = Repository(name="c/x", tags=tags)
    wanted = ImageSpec(description="A", sif=True)
    assert sif_of([silent, empty, there], PLAIN) == sif_of([there], wanted) == "c/x:2026.2.0-sif"
    assert sif_of([silent, empty], wanted) == sif_of([silent], PLAIN) == ""
    assert sif_of([silent], wanted) == "a/x:latest-sif"
    lines = {command.title: command.text for command in commands("x", wanted, "c/x:main", "c/x:2026.2.0-sif")}
    assert lines["Apptainer, as a file"] == "apptainer pull x.sif oras://c/x:2026.2.0-sif"
    assert "Apptainer, as a file" not in {command.title for command in commands("x", wanted, "c/x:main")}
