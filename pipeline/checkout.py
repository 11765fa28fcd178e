"""A checkout of images: what its files say, and what is done with them."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import anyio
import dagger

from pipeline.attestations.sigstore import Sigstore
from pipeline.build import dockerfile_image, pixi_image
from pipeline.build.finalize import finish
from pipeline.build.image import Image
from pipeline.build.inputs import Recipe
from pipeline.config import extra_files
from pipeline.config.image_toml import FILE, ImageSpec, Platform, find_images, load_spec
from pipeline.config.project_toml import Settings, load_settings
from pipeline.config.validation import nearest
from pipeline.credentials.logins import Logins
from pipeline.errors import SpecError
from pipeline.git.commit import Commit, read_commit
from pipeline.inspection import located
from pipeline.locks import base_images
from pipeline.locks.image_lock import ImageLock, Locked, check_lock
from pipeline.output.console import tell
from pipeline.output.formats import Format
from pipeline.publishing import tag_policy
from pipeline.smoke import probe_images
from pipeline.smoke.results import Results


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
        return tag_policy.draw(tag_policy.report(trigger, tag_policy.plan_checkout(trigger, commit, self.commit)), form)

    def recipe(self, image: str, spec: ImageSpec, platform: Platform) -> Recipe:
        """What an image is made from, with the digests of its base.lock.

        Raises:
            LockError: base.lock cannot be used, or does not fit image.toml.
        """
        digests = base_images.read_fitting(self.path / image, spec, self.settings) or {}
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
        if note := base_images.unpinned(self.path / image, spec, self.settings):
            tell(f"{note}\n")
        if spec.dockerfile is not None:
            built = await dockerfile_image.build(recipe)
        else:
            built = await pixi_image.build(recipe, self.read_lock(image, spec, target))
        scratch = Path(await anyio.to_thread.run_sync(tempfile.mkdtemp))
        return await finish(built, recipe, await extra_files.collect(recipe.folder, spec.files, recipe.file, scratch))

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
        return await pixi_image.ask(self.recipe(image, spec, platform), self.read_lock(image, spec, platform))

    async def listed(self, image: str, spec: ImageSpec, platform: Platform) -> Locked:
        """The same, without a question to pixi where the lock leaves no choice: nothing is pulled to read a list.

        Raises:
            PipelineError: the files cannot be used, or pixi cannot be asked.
        """
        lock = self.read_lock(image, spec, platform)
        if len(lock.candidates) == 1:
            return lock.candidates[0]
        return await pixi_image.ask(self.recipe(image, spec, platform), lock)

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
            probe_images.require_gpu_probe(specs)
        return await probe_images.probe_images(self, specs, gpu=gpu)


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
