"""A checkout and its images: each file is read once in a call, and what is done with an image starts here."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import anyio
import dagger

from pipeline.build import dockerfile_image, extra_files, pixi_image
from pipeline.build.finalize import finalize
from pipeline.build.image import Image
from pipeline.build.inputs import BuildInputs
from pipeline.config.image_toml import FILE, ImageSpec, Platform, find_images, load_spec
from pipeline.config.project_toml import Settings, load_settings
from pipeline.config.toml_locations import located
from pipeline.config.validation import nearest
from pipeline.credentials.logins import Logins
from pipeline.errors import Code, SpecError
from pipeline.git.commit import Commit, read_commit
from pipeline.locks import base_images
from pipeline.locks.image_lock import ImageLock, Locked, LockFiles, check_lock
from pipeline.output.console import log


@dataclass(frozen=True)
class ImageSource:
    """One image of a checkout: what its files say, and what is made of them."""

    name: str

    spec: ImageSpec

    folder: Path
    """Its folder in this process's own file system: what decisions are made from."""

    directory: dagger.Directory
    """The same files as the engine holds them: what containers are made from."""

    settings: Settings

    commit: Commit | None = None
    """The commit that the files are at; None where they do not say."""

    logins: Logins = field(default_factory=Logins)
    """Who logs in where."""

    @cached_property
    def files(self) -> LockFiles:
        """Its manifest and lock."""
        return LockFiles(self.folder)

    @cached_property
    def base_lock(self) -> Mapping[str, str] | None:
        """The digests in its base.lock by base image; None where there is no such file.

        Raises:
            LockError: the file cannot be used.
        """
        return base_images.read(self.folder)

    @property
    def digests(self) -> Mapping[str, str]:
        """The digests of its base images, as far as they are locked.

        Raises:
            LockError: base.lock cannot be used, or does not fit image.toml.
        """
        if self.base_lock is None:
            return {}
        base_images.require_fitting(self.base_lock, self.name, self.spec, self.settings)
        return self.base_lock

    @property
    def unpinned(self) -> str:
        """A sentence for an image whose base images are not locked; empty where they are."""
        return base_images.unpinned(self.folder, self.spec, self.settings)

    def platform(self, asked: str | None) -> Platform:
        """The platform to build for: the one that is asked for, or the first of its image.toml.

        Raises:
            SpecError: its image.toml does not have the one that is asked for.
        """
        found = [known for known in self.spec.platforms if asked in {None, known}]
        if not found:
            raise SpecError(
                Code.PLATFORM_UNKNOWN,
                f"{self.name}/{FILE}: key 'platforms' does not have '{asked}'; "
                f"{nearest(str(asked), self.spec.platforms)}",
            )
        return found[0]

    def inputs(self, platform: Platform) -> BuildInputs:
        """What it is made from on a platform, with the digests of its base.lock.

        Raises:
            LockError: base.lock cannot be used, or does not fit image.toml.
        """
        return BuildInputs(
            self.name, self.spec, self.settings, self.directory, platform, self.commit, self.digests, self.logins
        )

    def lock(self, platform: Platform) -> ImageLock:
        """Its manifest and lock, as far as they can be read without pixi.

        Raises:
            PipelineError: the manifest cannot be used.
            LockError: the lock cannot be used.
        """
        return check_lock(self.files, self.spec, platform)

    async def locked(self, platform: Platform) -> Locked:
        """The packages that pixi installs for it.

        Raises:
            PipelineError: the files cannot be used, or pixi cannot be asked.
        """
        return await pixi_image.ask(self.inputs(platform), self.lock(platform))

    async def listed(self, platform: Platform) -> Locked:
        """The same, without a question to pixi where the lock leaves no choice: nothing is pulled to read a list.

        Raises:
            PipelineError: the files cannot be used, or pixi cannot be asked.
        """
        candidates = self.lock(platform).candidates
        return candidates[0] if len(candidates) == 1 else await self.locked(platform)

    async def build(self, platform: str | None = None) -> Image:
        """Check the image's files against each other, then build it.

        Args:
            platform: one of those of its image.toml; the first of them where none is given.

        Raises:
            PipelineError: what is wrong with the files, or what failed.
        """
        target = self.platform(platform)
        inputs = self.inputs(target)
        if self.unpinned:
            log(f"{self.unpinned}\n")
        if self.spec.dockerfile is not None:
            built = await dockerfile_image.build(inputs)
        else:
            built = await pixi_image.build(inputs, self.lock(target))
        scratch = Path(await anyio.to_thread.run_sync(tempfile.mkdtemp))
        files = await extra_files.collect(inputs.folder, self.spec.files, inputs.file, scratch)
        return await finalize(built, inputs, files)

    async def build_all(self) -> dict[Platform, Image]:
        """Build it for each of its platforms, in their order.

        Raises:
            PipelineError: what is wrong with the files, or what failed.
        """
        return {platform: await self.build(platform) for platform in self.spec.platforms}


@dataclass(frozen=True)
class Checkout:
    """A checkout of images."""

    source: dagger.Directory
    """The checkout as the engine holds it."""

    path: Path
    """The same files in this process's own file system."""

    settings: Settings

    commit: Commit | None = None
    """The commit that the files are at; None where they do not say."""

    logins: Logins = field(default_factory=Logins)
    """Who logs in where."""

    _images: dict[str, ImageSource] = field(default_factory=dict, init=False, repr=False, compare=False)

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
            raise SpecError(error.code, located(error, path)) from error
        return cls(source, path, settings, read_commit(path), logins or Logins())

    def names(self) -> list[str]:
        """The names of all images, sorted."""
        return find_images(self.path)

    def image(self, name: str) -> ImageSource:
        """One image; its image.toml is read the first time.

        Raises:
            SpecError: the checkout has no such image.
            SpecError: its image.toml cannot be used.
        """
        if name not in self._images:
            spec, folder = load_spec(self.path, name), self.path / name
            self._images[name] = ImageSource(
                name, spec, folder, self.source.directory(name), self.settings, self.commit, self.logins
            )
        return self._images[name]

    def images(self, name: str | None = None) -> list[ImageSource]:
        """The image of a name, or all images by name where none is given.

        Raises:
            SpecError: the checkout has no such image.
            SpecError: an image.toml cannot be used.
        """
        return [self.image(found) for found in ([name] if name else self.names())]
