"""Registry client: one command in a container for each repository and phase, and its report.

regctl speaks the protocol, and `pipeline/scripts/registry.py` decides what is retried. A container is not free, so one
does a whole phase: query, push and read back, or move tags.
"""

import json
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import dagger
from dagger import dag
from pydantic import TypeAdapter, ValidationError

from pipeline.build.tool_container import with_packages, with_scripts
from pipeline.config.settings import Settings
from pipeline.credentials.registry_auth import Login, explain_rejected_pull
from pipeline.engine_errors import reason_of
from pipeline.registry.artifact import LAYOUT, SIF_LAYOUT, Artifact
from pipeline.registry.attachment import Attachment
from pipeline.scripts.messages import Document, Job, Kind, RegistryFailure, RepositoryReport

#: Path of regctl in the container.
PROGRAM: Final = "/usr/local/bin/regctl"
PASSWORD: Final = "REGISTRY_PASSWORD"  # noqa: S105  # the name of the variable


@dataclass(frozen=True)
class Destination:
    """A repository that an image is published to, and the login for it."""

    repository: str
    """The name with the registry, as in ghcr.io/maniaclab/ml-platform."""

    login: Login

    @property
    def host(self) -> str:
        """The registry's host."""
        return self.repository.partition("/")[0]


class Registry:
    """Client that runs the phases of a publication."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def ask(
        self, to: Destination, immutable: Sequence[str], floating: Sequence[str], *, writes: bool
    ) -> RepositoryReport:
        """Log in, and read the tags and their digests; with ``writes``, check the permission to push too."""
        return await self._run(to, "ask", tags=immutable, floating=floating, writes=writes)

    async def push(
        self, to: Destination, artifact: Artifact, immutable: Sequence[str], floating: Sequence[str]
    ) -> RepositoryReport:
        """Push an image and its SIF under the missing immutable tags, read all back, and report the floating ones."""
        return await self._run(
            to,
            "push",
            layouts=_layouts(artifact),
            digest=artifact.digest,
            sif=artifact.sif_digest,
            tags=immutable,
            floating=floating,
        )

    async def move(  # noqa: PLR0913, PLR0917  # what was decided, and what it is based on
        self,
        to: Destination,
        artifact: Artifact,
        tags: Sequence[str],
        floating: Sequence[str],
        known: Collection[str],
        standing: Mapping[str, str],
    ) -> RepositoryReport:
        """Move tags to an image, unless the repository has other tags than the known ones, or other images there."""
        return await self._run(
            to,
            "move",
            digest=artifact.digest,
            sif=artifact.sif_digest,
            tags=tags,
            floating=floating,
            known=sorted(known),
            standing=standing,
        )

    async def require(self, to: Destination, digest: str) -> RepositoryReport:
        """Require an image by its digest, and report the format of its layers.

        The report's failure says that the image is missing, or could not be asked for.
        """
        return await self._run(to, "require", digest=digest)

    async def attach(
        self, to: Destination, attachments: Sequence[Attachment], tools: Mapping[str, dagger.File] | None = None
    ) -> RepositoryReport:
        """Attach the documents that are missing from an image in the repository, and verify that all are listed.

        Args:
            to: the repository.
            attachments: the documents; those without a file are only searched for.
            tools: files that the documents' ``check`` commands need, by their paths in the container.
        """
        files = dict(tools or {})
        documents = []
        for number, attachment in enumerate(attachments):
            path = payload = ""
            if attachment.file:
                path = f"/attachments/{number}/{await attachment.file.name()}"
                files[path] = attachment.file
            if attachment.payload:
                payload = f"/payloads/{number}"
                files[payload] = attachment.payload
            about = (attachment.name, attachment.subject, attachment.type, attachment.annotations)
            documents.append(Document(*about, path, attachment.check, payload))
        action = "attach" if all(attachment.file for attachment in attachments) else "find"
        return await self._run(to, action, files=files, documents=documents)

    async def _run(
        self,
        to: Destination,
        action: str,
        *,
        layouts: Mapping[str, dagger.Directory] | None = None,
        files: Mapping[str, dagger.File] | None = None,
        **values: Any,  # noqa: ANN401  # fields of Job
    ) -> RepositoryReport:
        settings = self._settings
        container = client(settings).with_(with_job(settings, to, action, **values))
        for path, layout in (layouts or {}).items():
            container = container.with_mounted_directory(path, layout)
        for path, file in (files or {}).items():
            container = container.with_mounted_file(path, file)
        script = "registry" if files is None else "referrers"
        command = ["python", "-m", f"pipeline.scripts.{script}", "/job.json"]
        try:
            return TypeAdapter(RepositoryReport).validate_json(await container.with_exec(command).stdout())
        except dagger.ExecError as error:
            return _not_run(Kind.REJECTED, reason_of(error))
        except ValidationError:
            return _not_run(Kind.REJECTED, "it gave no report")
        except dagger.QueryError as error:
            # The step's own images come from registries too, and are pulled with the same credentials.
            if refused := explain_rejected_pull(str(error), None, [to.host] if to.login.secret else []):
                return _not_run(Kind.REJECTED, f"{reason_of(error)}; {refused}")
            return _not_run(Kind.TRANSIENT, str(error))


def _layouts(artifact: Artifact) -> dict[str, dagger.Directory]:
    """Return the OCI layouts of an image and its SIF, by their paths in the container."""
    return {LAYOUT: artifact.layout} | ({SIF_LAYOUT: artifact.sif.layout} if artifact.sif else {})


def _not_run(kind: Kind, reason: str) -> RepositoryReport:
    """Return the report of a step that could not start; the steps of other repositories go on."""
    doing = "starting the step that speaks with the registry"
    return RepositoryReport(failure=RegistryFailure(doing, "", kind, reason, tries=1, seconds=0))


def describe_failure(failure: RegistryFailure) -> str:
    """Return the failed operation and its reason, in one clause."""
    tried = f" ({failure.tries} tries in {failure.seconds:.0f} s)" if failure.tries > 1 else ""
    return f"{failure.doing} failed{tried}: {failure.reason}"


def client(settings: Settings) -> dagger.Container:
    """Return a container with regctl and the scripts that retry it; nothing that it writes is kept."""
    return (
        dag.container()
        .from_(settings.fetch_base)
        .with_(with_packages("registry.lock"))
        .with_mounted_file(PROGRAM, dag.container().from_(settings.regctl).file("/regctl"))
        .with_(with_scripts("messages.py", "layer_format.py", "answers.py", "regctl.py", "registry.py", "referrers.py"))
        .with_mounted_temp("/tmp")  # noqa: S108  # of the container
        .with_env_variable("REGCTL_CONFIG", "/tmp/regctl.json")  # noqa: S108  # of the container
    )


def with_job(
    settings: Settings,
    to: Destination,
    action: str,
    *,
    cached: bool = False,
    **values: Any,  # noqa: ANN401  # fields of Job
) -> Callable[[dagger.Container], dagger.Container]:
    """Return a step that mounts a job in a repository as ``/job.json``, with the password for it.

    Args:
        settings: the settings.
        to: the repository.
        action: the action of the job.
        cached: whether the engine may answer from its cache.
        values: further fields of the job.
    """
    job = Job(
        action=action,
        repository=to.repository,
        host=to.host,
        username=to.login.username,
        program=PROGRAM,
        timeout=settings.registry_timeout,
        tries=settings.registry_tries,
        seconds=settings.registry_seconds,
        **values,
    )

    def mount(container: dagger.Container) -> dagger.Container:
        container = container.with_mounted_file("/job.json", dag.file("job.json", json.dumps(asdict(job))))
        if not cached:  # a registry's content changes between calls
            container = container.with_env_variable("ASKED", uuid.uuid4().hex)
        return container.with_secret_variable(PASSWORD, to.login.secret) if to.login.secret else container

    return mount
