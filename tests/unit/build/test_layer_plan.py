"""Packages go into layers so that an update changes few of them."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build.layer_plan import LARGE, MEDIUM, REST, Layer, Limits, Package, TooLargeError, assign, divide
from pipeline.config.image_toml import load_spec
from tests.unit.lockfiles import locked

ROOT = Path(__file__).parents[3]
IMAGE = ROOT / "ml_platform"
#: The lab's last update of its lock: how many packages it changed (of 555 then, 504 now), and which part of all bytes.
CHANGED, BYTES = 107, 0.117


def make(name: str, size: int, content: int = 0) -> tuple[Package, dict[str, int]]:
    """A package, and the bytes of its files; `content` distinguishes its versions."""
    files = {f"lib/{name}/{number}": size // 2 + content for number in range(2)}
    return Package(name, size, tuple(files)), files


def layers(sizes: dict[str, int], limits: Limits | None = None) -> list[Layer]:
    """The layers of packages with these sizes, and of a file of none of them."""
    made = [make(name, size) for name, size in sizes.items()]
    files = {path: size for _, found in made for path, size in found.items()}
    return divide([package for package, _ in made], files | {"conda-meta/history": 1}, limits)


def by_name(sizes: dict[str, int]) -> dict[str, tuple[str, ...]]:
    """The files of each layer."""
    return {layer.name: layer.files for layer in layers(sizes)}


names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=12)
#: Sizes around the limits are the most likely to fail.
sizes = st.one_of(
    st.integers(0, 600_000_000), st.sampled_from([0, MEDIUM - 1, MEDIUM, LARGE - 1, LARGE, 2 * LARGE - 1, 2 * LARGE])
)
environments = st.dictionaries(names, sizes, max_size=40)


@given(st.dictionaries(names, sizes, max_size=150), st.integers(20, 120))
def test_each_file_is_in_one_layer_and_layers_are_few(packages: dict[str, int], most: int) -> None:
    """However many packages there are, and however large: each file once, no layer empty, no more layers than asked."""
    found = layers(packages, Limits(layers=most))
    files = [path for layer in found for path in layer.files]
    assert sorted(files) == sorted(
        ["conda-meta/history", *(f"lib/{name}/{number}" for name in packages for number in range(2))]
    )
    assert all(layer.files for layer in found)
    assert len(found) <= most
    assert found[-1] == Layer(REST, ("conda-meta/history",))
    assert [layer.name for layer in found] == sorted(layer.name for layer in found)


@given(environments, names, sizes)
def test_adding_or_removing_a_package_changes_its_own_layer(packages: dict[str, int], name: str, size: int) -> None:
    """With one package more, or less, all layers but its own hold what they held."""
    less = {known: bytes_ for known, bytes_ in packages.items() if known != name}
    before, after = by_name(less), by_name(less | {name: size})
    changed = {layer for layer in before.keys() | after.keys() if before.get(layer) != after.get(layer)}
    assert changed == {assign({name: size}, Limits().layers)[name]}


@given(environments.filter(len), st.data(), sizes)
def test_updating_a_package_changes_the_layer_it_was_in_and_is_in(
    packages: dict[str, int], data: st.DataObject, size: int
) -> None:
    """A package of another size leaves its layer at most for one other; the total has no say in it."""
    name = data.draw(st.sampled_from(sorted(packages)))
    most = Limits().layers
    before, after = assign(packages, most), assign(packages | {name: size}, most)
    assert {known for known in packages if before[known] != after[known]} <= {name}


@given(st.dictionaries(names, st.integers(LARGE, 600_000_000), min_size=30, max_size=150))
def test_too_many_large_packages_move_only_those_that_were_alone(packages: dict[str, int]) -> None:
    """Without room for one more, some that were alone share layers from then on; the others stay."""
    before, after = assign(packages, 60), assign(packages | {"one more": LARGE}, 60)
    moved = {name for name in packages if before[name] != after[name]}
    assert all(before[name] == f"1-{name}" and after[name].startswith("2-") for name in moved)
    assert all(packages[name] < packages[other] for name in moved for other in packages if after[other][0] == "1")


@given(environments)
def test_the_order_of_packages_says_nothing(packages: dict[str, int]) -> None:
    """The same packages in another order are the same layers."""
    assert layers(packages) == layers(dict(reversed(packages.items())))


def test_a_large_package_is_alone_and_small_ones_share() -> None:
    """A large package is a layer of its own name; a small one shares a layer with others."""
    found = by_name({"tensorflow": LARGE, "six": 100, "tqdm": 100, "idna": 100})
    assert found["1-tensorflow"] == ("lib/tensorflow/0", "lib/tensorflow/1")
    assert sum(len(files) for name, files in found.items() if name.startswith("3-small")) == 6


def test_a_file_of_two_packages_is_of_the_first() -> None:
    """A file that two packages name is in one layer only, the same one in whatever order they come."""
    one, two = Package("a", LARGE, ("shared",)), Package("b", LARGE, ("shared", "own"))
    assert divide([two, one], {"shared": 1, "own": 1}) == [Layer("1-a", ("shared",)), Layer("1-b", ("own",))]


def test_a_named_file_that_is_not_there_is_passed_over() -> None:
    """A package may name files that its installation did not make."""
    assert divide([Package("a", LARGE, ("gone", "here"))], {"here": 1}) == [Layer("1-a", ("here",))]


def test_a_layer_over_the_limit_is_made_of_parts() -> None:
    """Files that are too many for one layer go into several, in the order of their paths; a file is never split."""
    package = Package("a", LARGE, ("1", "2", "3", "4"))
    found = divide([package], {"1": 6, "2": 5, "3": 5, "4": 20}, Limits(size=10))
    assert [(layer.name, layer.files) for layer in found] == [
        ("1-a.000", ("1",)), ("1-a.001", ("2", "3")), ("1-a.002", ("4",)),
    ]  # fmt: skip


def test_files_that_do_not_fit_are_refused() -> None:
    """The error gives the size of the files and the limits."""
    files = {str(number): 10_000_000_000 for number in range(3)}
    with pytest.raises(TooLargeError, match=r"30\.0 GB of files make 3 layers of at most 5 GB.*may have 2"):
        divide([], files, Limits(layers=2))


def test_an_update_like_the_last_one_pushes_little() -> None:
    """107 packages and 11.7 % of the bytes changed: at most 15 % is pushed, in no more than 80 layers."""
    records = locked(IMAGE, "ml", "12.8").conda
    packages = {name: record.size or 0 for name, record in records.items()}
    places = assign(packages, Limits().layers)
    assert len(set(places.values())) + 1 <= 80
    total = sum(packages.values())
    chance = random.Random(555)  # noqa: S311 -- a sample, not a secret
    pushed: list[float] = []
    while len(pushed) < 20:
        changed = chance.sample(sorted(packages), CHANGED)
        if abs(sum(packages[name] for name in changed) / total - BYTES) < 0.003:
            touched = {places[name] for name in changed}
            pushed.append(sum(size for name, size in packages.items() if places[name] in touched) / total)
    assert max(pushed) <= 0.15


def test_images_of_one_lab_share_layers() -> None:
    """Most bytes of columnar are layers of ml_platform, as packages at equal paths are."""
    environments = [
        {name: (record.url, record.size or 0) for name, record in locked(ROOT / image, "ml", cuda).conda.items()}
        for image, cuda in (("ml_platform", "12.8"), ("columnar", None))
    ]
    assert len({load_spec(ROOT, image).environment for image in ("ml_platform", "columnar")}) == 1
    large, small = (contents(environment) for environment in environments)
    shared = {packages for packages in small if packages in large}
    total = sum(size for _, size in environments[1].values())
    assert sum(size for packages in shared for _, size in packages) / total >= 0.7


def contents(environment: dict[str, tuple[str, int]]) -> set[frozenset[tuple[str, int]]]:
    """The packages of each layer."""
    places = assign({name: size for name, (_, size) in environment.items()}, Limits().layers)
    members: dict[str, set[tuple[str, int]]] = {}
    for name, package in environment.items():
        members.setdefault(places[name], set()).add(package)
    return set(map(frozenset, members.values()))
