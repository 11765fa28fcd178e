"""A checkout of images: what its files say, and what is done with them."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import anyio
import dagger

from pipeline import smoke, stages
from pipeline.errors import PipelineError
from pipeline.lock import check_lock
from pipeline.settings import Settings, load_settings
from pipeline.spec import ImageSpec, find_images, load_spec


@dataclass(frozen=True)
class Checkout:
    """The images of one checkout."""

    source: dagger.Directory
    """The checkout as the engine holds it: what containers are made from."""

    path: Path
    """The same files in this process's own file system: what decisions are made from."""

    settings: Settings

    @classmethod
    async def open(cls, source: dagger.Directory) -> Self:
        """Read a checkout.

        Raises:
            SpecError: the settings in its pyproject.toml cannot be used.
        """
        path = Path(await anyio.to_thread.run_sync(tempfile.mkdtemp))
        await source.export(str(path))
        return cls(source, path, load_settings(path))

    def images(self) -> dict[str, ImageSpec]:
        """All images by name, sorted.

        Raises:
            SpecError: an image.toml cannot be used.
        """
        return {name: load_spec(self.path, name) for name in find_images(self.path)}

    async def build(self, image: str) -> dagger.Container:
        """Check an image's files against each other, then build it.

        Raises:
            PipelineError: what is wrong with the files, or what failed.
        """
        spec = load_spec(self.path, image)
        locked = check_lock(self.path / image, spec)
        return await stages.build(self.source.directory(image), image, spec, self.settings, locked)

    async def smoke_test(self, image: str | None, *, gpu: bool) -> str:
        """Build one image or all, run all their probes at once, and return the table of what was found.

        Raises:
            PipelineError: an image could not be built, or a probe failed; all of them are named.
        """
        specs = {image: load_spec(self.path, image)} if image else self.images()
        if gpu:
            smoke.require_gpu_probe(specs)
        results: list[smoke.Result] = []
        failures: list[PipelineError] = []

        async def test(name: str, spec: ImageSpec) -> None:
            try:
                container = await self.build(name)
            except PipelineError as error:
                failures.append(error)
                return
            results.extend(await smoke.run_probes(container, name, spec, self.settings, gpu=gpu))

        async with anyio.create_task_group() as tasks:
            for name, spec in specs.items():
                tasks.start_soon(test, name, spec)
        results.sort(key=lambda result: result.image)
        smoke.require_passed(results, failures)
        return smoke.summarize(results)
