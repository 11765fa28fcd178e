"""Checkout and its images: each file is read once in a call, and every operation on an image starts here."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import anyio
import dagger

from pipeline.build import dockerfile_image, extra_files, pixi_image
from pipeline.build.finalize import finalize
from pipeline.build.image import Image
from pipeline.build.inputs import BuildInputs
from pipeline.concurrency import limit_parallelism
from pipeline.config.dockerfile import NamedImage, final_base, named_images
from pipeline.config.image_toml import FILE, ImageSpec, Platform, find_images, load_spec
from pipeline.config.settings import Settings, load_settings
from pipeline.config.toml_locations import located
from pipeline.config.validation import nearest
from pipeline.credentials.build_secrets import require_mounted
from pipeline.credentials.logins import Logins
from pipeline.engine_errors import explain
from pipeline.errors import Code, LockError, PipelineError, SpecError
from pipeline.git.commit import Commit, read_commit
from pipeline.locks import base_images, tool_images
from pipeline.locks.image_lock import ImageLock, Locked, LockFiles, check_lock
from pipeline.output.console import log


@dataclass(frozen=True)
class ImageSource:
    """One image of a checkout, with its files and the operations on them."""

    name: str

    spec: ImageSpec

    folder: Path
    """Its folder in this process's own file system, for decisions."""

    directory: dagger.Directory
    """The same folder in the engine, for containers."""

    settings: Settings

    commit: Commit | None = None
    """Commit of the files, with the changes that concern this image; None where it is unknown."""

    logins: Logins = field(default_factory=Logins)
    """Credentials for registries and channels."""

    @cached_property
    def files(self) -> LockFiles:
        """Its manifest and lock files."""
        return LockFiles(self.folder)

    @cached_property
    def base_lock(self) -> Mapping[str, str] | None:
        """The digests of its base.lock by base image; None without the file.

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
        """A sentence about base images without a lock; empty where all are locked."""
        return base_images.unpinned(self.folder, self.spec, self.settings)

    def dockerfile(self, path: str) -> str:
        """Return the text of its Dockerfile."""
        return (self.folder / path).read_text(encoding="utf-8", errors="replace")

    def platform(self, name: str | None) -> Platform:
        """Return the platform to build for: the one of a name, or the first of its image.toml.

        Raises:
            SpecError: its image.toml has no platform of this name.
        """
        matching = [platform for platform in self.spec.platforms if name in {None, platform}]
        if not matching:
            raise SpecError(
                Code.PLATFORM_UNKNOWN,
                f"{self.name}/{FILE}: key 'platforms' does not have '{name}'; "
                f"{nearest(str(name), self.spec.platforms)}",
            )
        return matching[0]

    def inputs(self, platform: Platform) -> BuildInputs:
        """Return its build inputs for a platform, with the digests of its base.lock.

        Raises:
            LockError: base.lock cannot be used, or does not fit image.toml.
        """
        return BuildInputs(
            self.name, self.spec, self.settings, self.directory, platform, self.commit, self.digests, self.logins
        )

    def named_images(self) -> list[NamedImage]:
        """Return the images that its Dockerfile is made from on any of its platforms; none without a Dockerfile."""
        if self.spec.dockerfile is None:
            return []
        text = self.dockerfile(self.spec.dockerfile)
        on_each = (named_images(text, self.spec.build_args, platform) for platform in self.spec.platforms)
        return list({image.name: image for images in on_each for image in images}.values())

    def lock(self, platform: Platform) -> ImageLock:
        """Read its manifest and lock, as far as that needs no pixi.

        Raises:
            PipelineError: the manifest cannot be used.
            LockError: the lock cannot be used.
        """
        return check_lock(self.files, self.spec, platform)

    async def locked(self, platform: Platform) -> Locked:
        """Ask pixi which packages it installs for the image.

        Raises:
            PipelineError: the files cannot be used, or pixi cannot run.
        """
        return await pixi_image.ask(self.inputs(platform), self.lock(platform))

    async def listed(self, platform: Platform) -> Locked:
        """Return the same packages, without pixi where the lock has one candidate: then no base image is pulled.

        Raises:
            PipelineError: the files cannot be used, or pixi cannot run.
        """
        candidates = self.lock(platform).candidates
        return candidates[0] if len(candidates) == 1 else await self.locked(platform)

    async def build(self, platform: str | None = None) -> Image:
        """Check that the image's files agree, then build it.

        Args:
            platform: a platform of its image.toml; the first one by default.

        Raises:
            PipelineError: the files cannot be used, or a build step failed.
        """
        try:
            return await self._build(self.platform(platform))
        except dagger.DaggerError as error:
            cause = explain(error, self.logins.registries)
            raise PipelineError(cause.code, f"{self.name}: {cause.message}") from error

    async def _build(self, target: Platform) -> Image:
        inputs = self.inputs(target)
        for note in filter(None, (self.unpinned, tool_images.unpinned(self.settings))):
            log(f"{note}\n")
        if self.spec.dockerfile is not None:
            await self.logins.prepare([image.name for image in self.named_images()])
            built = await dockerfile_image.build(inputs, self.folder, self.dockerfile(self.spec.dockerfile))
        else:
            built = await pixi_image.build(inputs, self.lock(target))
        scratch = Path(await anyio.to_thread.run_sync(tempfile.mkdtemp))
        files = await extra_files.collect(inputs.folder, self.spec.files, inputs.file, scratch)
        image = await finalize(built, inputs, files)
        try:
            await image.container.sync()
        except dagger.QueryError:
            await extra_files.require_no_folder(built.without_environment, self.spec.files, inputs.file)
            raise
        # By its digest where that is locked, so that its layers are those that the build pulled.
        return replace(image, base=self.layers_below(inputs))

    def layers_below(self, inputs: BuildInputs) -> str:
        """Return the base image whose layers are the lowest ones; empty for none, and where it is not known."""
        if self.spec.dockerfile is not None:
            return final_base(self.dockerfile(self.spec.dockerfile), self.spec.build_args, inputs.platform)
        return inputs.pinned(list(base_images.used(self.spec, self.settings).values())[-1])

    async def build_all(self) -> dict[Platform, Image]:
        """Build it for each of its platforms, in their order.

        Raises:
            PipelineError: the files cannot be used, or a build step failed.
        """
        return {platform: await self.build(platform) for platform in self.spec.platforms}


@dataclass(frozen=True)
class Checkout:
    """A checkout with its images."""

    source: dagger.Directory
    """The checkout's files in the engine."""

    path: Path
    """The same files in this process's own file system."""

    settings: Settings
    """Settings, with the digests of tools.lock in the references of tool images."""

    commit: Commit | None = None
    """Commit of the files, with the changes that concern any image; None where it is unknown."""

    logins: Logins = field(default_factory=Logins)
    """Credentials for registries and channels."""

    _images: dict[str, ImageSource] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    async def open(cls, source: dagger.Directory, logins: Logins | None = None, *, pinned: bool = True) -> Self:
        """Read a checkout, and set its limit of parallel work for the calling task.

        Args:
            source: the checkout's files in the engine.
            logins: credentials for registries and channels; none by default.
            pinned: whether tool images are those of tools.lock; only what writes the file leaves it unread.

        Raises:
            SpecError: its settings cannot be used.
            PipelineError: a build secret was given that no Dockerfile mounts.
            LockError: tools.lock cannot be used, or does not fit the settings.
        """
        path = Path(await anyio.to_thread.run_sync(tempfile.mkdtemp))
        await source.export(str(path))
        try:
            settings = load_settings(path)
            if pinned:
                settings = tool_images.pin(path, settings)
        except (LockError, SpecError) as error:
            raise type(error)(error.code, located(error, path)) from error
        limit_parallelism(settings.parallelism)
        logins = logins or Logins()
        await logins.prepare(tool_images.used(settings).values())
        made = cls(source, path, settings, read_commit(path, find_images(path)), logins)
        if logins.build_secrets:
            dockerfiles = [(image, image.spec.dockerfile) for image in made.images() if image.spec.dockerfile]
            texts = {f"{image.name}/{path}": image.dockerfile(path) for image, path in dockerfiles}
            require_mounted(logins.build_secrets, texts)
        return made

    def names(self) -> list[str]:
        """Return the names of all images, sorted."""
        return find_images(self.path)

    def commit_of(self, image: str | None) -> Commit | None:
        """Return the commit with the changes that concern an image; without one, any image."""
        return self.commit.of([image]) if self.commit and image else self.commit

    def image(self, name: str) -> ImageSource:
        """Return one image; its image.toml is read on the first call.

        Raises:
            SpecError: the checkout has no such image, or its image.toml cannot be used.
        """
        if name not in self._images:
            spec, folder = load_spec(self.path, name), self.path / name
            self._images[name] = ImageSource(
                name, spec, folder, self.source.directory(name), self.settings, self.commit_of(name), self.logins
            )
        return self._images[name]

    def images(self, name: str | None = None) -> list[ImageSource]:
        """Return the image of a name, or all images, sorted by name, without one.

        Raises:
            SpecError: the checkout has no such image, or an image.toml cannot be used.
        """
        return [self.image(each) for each in ([name] if name else self.names())]

    def usable_images(self, name: str | None = None) -> tuple[list[ImageSource], dict[str, PipelineError]]:
        """Return the images whose image.toml can be used, and the error about each other by name; both sorted by name.

        Raises:
            SpecError: one image was named, and it cannot be used.
        """
        if name is not None:
            return [self.image(name)], {}
        usable, errors = [], dict[str, PipelineError]()
        for each in self.names():
            try:
                usable.append(self.image(each))
            except PipelineError as error:
                errors[each] = error
        return usable, errors
