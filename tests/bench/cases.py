"""The cases to measure: each function returns figures of the pipeline and of its counterpart, of one round."""
# ruff: noqa: T201 -- a long measurement prints its progress

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.bench.builders import Dockerfile, Pipeline, blobs, skopeo
from tests.bench.figures import Figure
from tests.bench.measure import empty_module, import_seconds, missing, peak_disk, settled, size
from tests.bench.synthetic import IMAGE, LARGE, SMALL, Synthetic, ml_platform
from tests.engine.conftest import Checkout

#: The change before each build and release, in this order; at the first one, nothing is there.
CASES: Final = ("cold", "unchanged", "changed file", "changed small package", "changed large package")
#: Number of imports of a module in fresh containers.
IMPORTS: Final = 5
MB: Final = 1e6
#: The arguments of the Dockerfile for ml_platform; the pipeline has them from image.toml.
ML: Final = {"ENVIRONMENT": "ml", "CUDA": "12.8"}

type Pair = tuple[float, float]


class Round:
    """One round: both builders do the same right after each other, and take turns in being first."""

    def __init__(self, pipeline: Pipeline, dockerfile: Dockerfile, scratch: Path, number: int) -> None:
        self.pipeline = pipeline
        self.dockerfile = dockerfile
        self.scratch = scratch
        self.number = number
        self.name = f"{scratch.name.lower()}-{number}"

    def warm(self) -> None:
        """Have both builders load what belongs to no image: the module, its tools, the base images."""
        with self.synthetic("warm", 4) as made:
            self.pipeline.build(made.folder, IMAGE)
            self.dockerfile.build(made.folder, IMAGE)

    @contextmanager
    def synthetic(self, name: str, packages: int, images: int = 1) -> Iterator[Synthetic]:
        """A checkout with packages that nobody has seen before."""
        name = f"{self.name}-{name}"
        made = Synthetic(self.scratch / name, name, packages, images)
        try:
            # The module is installed at its first call from a folder, whatever that is.
            self.pipeline.call(made.folder, "call", "images")
            yield made
        finally:
            made.remove()
            shutil.rmtree(made.folder)

    def pair(self, what: str, ours: Callable[[], float], theirs: Callable[[], float]) -> Pair:
        """Measure both."""
        turns = [ours, theirs] if self.number % 2 == 0 else [theirs, ours]
        found = {turn: settled(turn) for turn in turns}
        print(f"{what}: {found[ours]:.2f} to {found[theirs]:.2f}", file=sys.stderr)
        return found[ours], found[theirs]

    def seconds(self, what: str, ours: Callable[[], float], theirs: Callable[[], float]) -> Figure:
        """Measure the seconds of both."""
        return Figure(what, "s", *self.pair(what, ours, theirs))

    def builds(self, packages: int) -> list[Figure]:
        """Build and publish an image, and pull it to a node, after each change."""
        figures = []
        with self.synthetic("builds", packages) as made:
            there: list[dict[str, int]] = [{}, {}]
            nodes = [self.scratch / f"node-{number}" for number in range(2)]
            for number, case in enumerate(CASES):
                change(made, case)
                figures += self.build(case, made)
                if case == "unchanged":
                    continue
                tag = f"2026.1.{10 * self.number + number}"
                figures.append(
                    self.seconds(
                        f"{case}: publish",
                        lambda tag=tag: self.pipeline.publish(made.folder, IMAGE, f"v{tag}"),  # type: ignore[misc]
                        lambda tag=tag: self.dockerfile.publish(made.folder, IMAGE, tag),  # type: ignore[misc]
                    )
                )
                references = [builder.reference(IMAGE, tag) for builder in (self.pipeline, self.dockerfile)]
                found = [blobs(reference) for reference in references]
                pushed = [missing(new, old) for new, old in zip(found, there, strict=True)]
                there = [old | new for old, new in zip(there, found, strict=True)]
                figures.append(Figure(f"{case}: pushed", "MB", pushed[0] / MB, pushed[1] / MB))
                figures += self.pull(case, references, nodes)
        return figures

    def build(self, case: str, made: Synthetic) -> list[Figure]:
        """Build an image; an unchanged one against a call of a module that does nothing, too."""
        peaks = []

        def watched(build: Callable[[], float]) -> Callable[[], float]:
            def run() -> float:
                with peak_disk() as peak:
                    seconds = build()
                peaks.append((build, peak[0]))
                return seconds

            return run

        ours: Callable[[], float] = lambda: self.pipeline.build(made.folder, IMAGE)  # noqa: E731
        theirs: Callable[[], float] = lambda: self.dockerfile.build(made.folder, IMAGE)  # noqa: E731
        figures = [self.seconds(f"{case}: build", watched(ours), watched(theirs))]
        if case == "cold":
            disk = dict(peaks)
            figures.append(Figure("cold: peak disk", "MB", disk[ours] / MB, disk[theirs] / MB))
        if case == "unchanged":
            empty = self.scratch / f"empty-{self.number}"
            empty_module(self.pipeline, empty)
            call: Callable[[], float] = lambda: self.pipeline.call(empty, "call", "nothing")  # noqa: E731
            call()
            found = [self.pair("unchanged: build, to an empty module", ours, call) for _ in range(3)]
            figures += [Figure("unchanged: build", "s", *pair, peer="empty module's call") for pair in found]
        return figures

    def pull(self, case: str, references: list[str], nodes: list[Path]) -> list[Figure]:
        """Pull images to nodes that have the ones before them."""
        moved = []

        def pull(reference: str, node: Path) -> float:
            before = size(node)
            started = time.monotonic()
            skopeo("copy", "--quiet", f"--dest-shared-blob-dir={node}", f"docker://{reference}", f"oci:{node}.image")
            seconds = time.monotonic() - started
            moved.append((reference, size(node) - before))
            return seconds

        (ours, our_node), (theirs, their_node) = zip(references, nodes, strict=True)
        seconds = self.seconds(f"{case}: pull", lambda: pull(ours, our_node), lambda: pull(theirs, their_node))
        pulled = dict(moved)
        return [Figure(f"{case}: pulled by a node", "MB", pulled[ours] / MB, pulled[theirs] / MB), seconds]

    def growth(self, packages: list[int], images: list[int]) -> list[Figure]:
        """Cold builds of more packages, and of more images."""
        figures = []
        for count in packages:
            with self.synthetic(f"packages-{count}", count) as made:
                figures.append(
                    self.seconds(
                        f"cold build, {count} packages",
                        lambda: self.pipeline.build(made.folder, IMAGE),
                        lambda: self.dockerfile.build(made.folder, IMAGE),
                    )
                )
        for count in images:
            with self.synthetic(f"images-{count}", 20, count) as made:

                def all_by_dockerfile(made: Synthetic = made) -> float:
                    started = time.monotonic()
                    with ThreadPoolExecutor(len(made.images)) as pool:
                        list(pool.map(lambda image: self.dockerfile.build(made.folder, image), made.images))
                    return time.monotonic() - started

                figures.append(
                    self.seconds(
                        f"cold build, {count} images of 20 packages",
                        lambda: self.pipeline.call(made.folder, "call", "smoke-test"),
                        all_by_dockerfile,
                    )
                )
        return figures

    def real(self) -> list[Figure]:
        """ml_platform: its cold build, and its publication: the first one, of a second installation, and by zstd."""
        folder = self.scratch / f"{self.name}-real"
        image = ml_platform(folder)
        prune = "{ engine { localCache { prune } } }"
        (self.scratch / "prune.graphql").write_text(prune)
        self.pipeline.call(folder, "query", "--doc", str(self.scratch / "prune.graphql"))
        self.dockerfile.forget()
        self.warm()
        self.pipeline.call(folder, "call", "images")
        figures = [
            self.seconds(
                "ml_platform: cold build",
                lambda: self.pipeline.build(folder, image),
                lambda: self.dockerfile.build(folder, image, **ML),
            )
        ]
        tag = f"2026.1.{self.number}"
        published = self.seconds(
            "ml_platform: publish",
            lambda: self.pipeline.publish(folder, image, f"v{tag}"),
            lambda: self.dockerfile.publish(folder, image, tag, **ML),
        )
        figures += [published, self.installed_anew(folder, image, published.ours)]
        figures += self.compression(folder, image, tag, published.ours)
        shutil.rmtree(folder)
        return figures

    def imports(self) -> list[Figure]:
        """ml_platform: what its large modules need to start in a fresh container."""
        folder = self.scratch / f"{self.name}-imports"
        image = ml_platform(folder)
        tag = f"2026.2.{self.number}"
        self.pipeline.publish(folder, image, f"v{tag}")
        self.dockerfile.publish(folder, image, tag, **ML)
        ours, theirs = self.pipeline.reference(image, tag), self.dockerfile.reference(image, tag)
        figures = []
        python = "/app/.pixi/envs/ml/bin/python"
        for module in ("tensorflow", "ROOT"):
            for _ in range(IMPORTS):
                found = [import_seconds(folder, name, python, f"import {module}") for name in (ours, theirs)]
                figures.append(Figure(f"ml_platform: import {module}", "s", found[0], found[1]))
        shutil.rmtree(folder)
        return figures

    def installed_anew(self, folder: Path, image: str, seconds: float) -> Figure:
        """Publish an image once more, when its packages were installed once more: the engine has no answer for it.

        Args:
            folder: of the checkout.
            image: its name; it was published.
            seconds: that it took.
        """
        # An argument of the command that installs.
        Checkout(folder).set(install_timeout=3601 + self.number)
        self.pipeline.build(folder, image)
        again = settled(lambda: self.pipeline.publish(folder, image, f"v2026.4.{self.number}"))
        return Figure("ml_platform installed again: publish", "s", again, seconds, "the first time")

    def compression(self, folder: Path, image: str, tag: str, seconds: float) -> list[Figure]:
        """Publish an image once more, with its layers compressed by zstd.

        Args:
            folder: of the checkout.
            image: its name; it was published, and its layers were compressed by gzip.
            tag: under which that was.
            seconds: that it took.
        """
        other = f"2026.3.{self.number}"
        spec = folder / image / "image.toml"
        spec.write_text(f'compression = "zstd"\n{spec.read_text()}')
        self.pipeline.build(folder, image)
        again = settled(lambda: self.pipeline.publish(folder, image, f"v{other}"))
        small, large = (sum(blobs(self.pipeline.reference(image, name)).values()) / MB for name in (other, tag))
        what = "ml_platform by zstd"
        return [
            Figure(f"{what}: publish", "s", again, seconds, "gzip"),
            Figure(f"{what}: size", "MB", small, large, "gzip"),
        ]


def change(made: Synthetic, case: str) -> None:
    """Make the change that a case is about."""
    if case == "changed file":
        (made.folder / IMAGE / "settings").write_text("second\n")
    for name in (SMALL, LARGE):
        if name.removeprefix("package-") in case:
            made.change(name)
