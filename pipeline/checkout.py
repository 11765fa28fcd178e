"""A checkout of images: what its files say, and what is done with them."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import anyio
import dagger

from pipeline import bases, dockerfile, files, smoke, stages, tags
from pipeline.checks import located
from pipeline.commit import Commit, read_commit
from pipeline.errors import SpecError
from pipeline.finish import finish
from pipeline.formats import Format
from pipeline.image import Image
from pipeline.lock import ImageLock, Locked, check_lock
from pipeline.log import tell
from pipeline.logins import Logins
from pipeline.recipe import Recipe
from pipeline.results import Results
from pipeline.settings import Settings, load_settings
from pipeline.sigstore import Sigstore
from pipeline.spec import FILE, ImageSpec, Platform, find_images, load_spec
from pipeline.validation import nearest


@dataclass(frozen=True)
class Checkout:
    """The images of one checkout."""

    source: dagger.Directory
    """The checkout as the engine holds it: what containers are made from."""

    path: Path
    """The same files in this process's own file system: what decisions are made from."""

    settings: Settings

    commit: Commit | None = None
    """The commit that the files are at; None where they do not say."""

    logins: Logins = field(default_factory=Logins)
    """Who logs in where."""

    @classmethod
    async def open(cls, source: dagger.Directory, logins: Logins | None = None) -> Self:
        """Read a checkout.

        Args:
            source: the checkout as the engine holds it.
            logins: who logs in where; nobody where there is nothing.

        Raises:
            SpecError: the settings in its pyproject.toml cannot be used.
        """
        path = Path(await anyio.to_thread.run_sync(tempfile.mkdtemp))
        await source.export(str(path))
        try:
            settings = load_settings(path)
        except SpecError as error:
            raise SpecError(located(error, path)) from error
        return cls(source, path, settings, read_commit(path), logins or Logins())

    @property
    def sigstore(self) -> Sigstore:
        """What says who signed, where no key does."""
        settings = self.settings
        files = [self.source.file(name) if name else None for name in (settings.signing_config, settings.trusted_root)]
        return Sigstore(*files)

    def images(self) -> dict[str, ImageSpec]:
        """All images by name, sorted.

        Raises:
            SpecError: an image.toml cannot be used.
        """
        return {name: load_spec(self.path, name) for name in find_images(self.path)}

    def tags(self, trigger: str, commit: str | None, form: Format) -> str:
        """Report the tags that a trigger gives the images of this checkout.

        Raises:
            TagError: it gives none.
        """
        return tags.draw(tags.report(trigger, tags.plan_checkout(trigger, commit, self.commit)), form)

    def recipe(self, image: str, spec: ImageSpec, platform: Platform) -> Recipe:
        """What an image is made from, with the digests of its base.lock.

        Raises:
            LockError: base.lock cannot be used, or does not fit image.toml.
        """
        digests = bases.read_fitting(self.path / image, spec, self.settings) or {}
        folder = self.source.directory(image)
        return Recipe(image, spec, self.settings, folder, platform, self.commit, digests, self.logins)

    async def build(self, image: str, platform: str | None = None) -> Image:
        """Check an image's files against each other, then build it.

        Args:
            image: its name.
            platform: one of those of its image.toml; the first of them where none is given.

        Raises:
            PipelineError: what is wrong with the files, or what failed.
        """
        spec = load_spec(self.path, image)
        target = choose_platform(image, spec, platform)
        recipe = self.recipe(image, spec, target)
        if note := bases.unpinned(self.path / image, spec, self.settings):
            tell(f"{note}\n")
        if spec.dockerfile is not None:
            built = await dockerfile.build(recipe)
        else:
            built = await stages.build(recipe, self.read_lock(image, spec, target))
        scratch = Path(await anyio.to_thread.run_sync(tempfile.mkdtemp))
        return await finish(built, recipe, await files.collect(recipe.folder, spec.files, recipe.file, scratch))

    def read_lock(self, image: str, spec: ImageSpec, platform: Platform) -> ImageLock:
        """An image's manifest and lock, as far as they can be read without pixi.

        Raises:
            ManifestError: the manifest cannot be used.
            LockError: the lock cannot be used.
        """
        return check_lock(self.path / image, spec, platform)

    async def locked(self, image: str, spec: ImageSpec, platform: Platform) -> Locked:
        """The packages that pixi installs for an image.

        Raises:
            PipelineError: the files cannot be used, or pixi cannot be asked.
        """
        return await stages.ask(self.recipe(image, spec, platform), self.read_lock(image, spec, platform))

    async def listed(self, image: str, spec: ImageSpec, platform: Platform) -> Locked:
        """The same, without a question to pixi where the lock leaves no choice: nothing is pulled to read a list.

        Raises:
            PipelineError: the files cannot be used, or pixi cannot be asked.
        """
        lock = self.read_lock(image, spec, platform)
        if len(lock.candidates) == 1:
            return lock.candidates[0]
        return await stages.ask(self.recipe(image, spec, platform), lock)

    async def build_all(self, image: str) -> dict[Platform, Image]:
        """Build an image for each of its platforms, in their order.

        Raises:
            PipelineError: what is wrong with the files, or what failed.
        """
        return {platform: await self.build(image, platform) for platform in load_spec(self.path, image).platforms}

    async def smoke_test(self, image: str | None, *, gpu: bool) -> Results:
        """Build one image or all, and run all their probes at once.

        Raises:
            PipelineError: a GPU is asked for that no probe looks for, or an image.toml cannot be used.
        """
        specs = {image: load_spec(self.path, image)} if image else self.images()
        if gpu:
            smoke.require_gpu_probe(specs)
        return await smoke.probe_images(self, specs, gpu=gpu)


def choose_platform(image: str, spec: ImageSpec, platform: str | None) -> Platform:
    """The platform to build an image for: the one that is asked for, or its first one.

    Raises:
        SpecError: its image.toml does not have the one that is asked for.
    """
    found = [known for known in spec.platforms if platform in {None, known}]
    if not found:
        raise SpecError(
            f"{image}/{FILE}: key 'platforms' does not have '{platform}'; {nearest(str(platform), spec.platforms)}"
        )
    return found[0]
