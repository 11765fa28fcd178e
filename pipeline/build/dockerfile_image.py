"""Images that are built by their own Dockerfile; the steps after that are the same for all images."""

from pathlib import Path

import dagger
from dagger import dag

from pipeline.build.finalize import Built, read_variables
from pipeline.build.inputs import BuildInputs
from pipeline.build.permissions import has_git_modes, with_git_modes
from pipeline.config.docker_settings import describe, docker_settings
from pipeline.credentials.build_secrets import choose_secrets, describe_missing, explain_missing, mounted_ids
from pipeline.credentials.registry_auth import explain_rejected_pull
from pipeline.engine_errors import reason_of, unpulled_image
from pipeline.errors import Code, PipelineError
from pipeline.output.console import log


async def build(inputs: BuildInputs, path: Path, text: str) -> Built:
    """Build an image by its Dockerfile, without the common additions of ``finalize``.

    Args:
        inputs: build inputs of the image.
        path: its folder in this process's own file system.
        text: its Dockerfile.

    Raises:
        PipelineError: the Dockerfile cannot be read, requires a secret that was not given, or one of its steps failed.
    """
    name = f"{inputs.image}: {inputs.image}/{inputs.spec.dockerfile}"
    secrets = mounted_ids(text)
    given = choose_secrets(inputs.logins.build_secrets, secrets)
    note = describe_missing(set(secrets) - given.keys())
    if note:
        log(f"{name}: {note}\n")
    folder = inputs.folder
    if not has_git_modes(path):
        # Here, so that an image that cannot be pulled is not taken for an error of the Dockerfile.
        folder = await with_git_modes(folder, dag.container().from_(inputs.settings.fetch_base)).sync()
    container = folder.docker_build(
        dockerfile=inputs.spec.dockerfile,
        platform=dagger.Platform(inputs.platform),
        build_args=[dagger.BuildArg(key, value) for key, value in inputs.spec.build_args.items()],
        # Dagger finds the secret of an id by its name, and its cache does: another value runs no step again.
        secrets=[dag.set_secret(id_, value) for id_, value in given.items()],
    )
    for _ in given:
        # Dagger leaves each of them mounted below /run/secrets for later commands, as a secret without a variable.
        container = container.without_secret_variable("")
    try:
        await container.sync()
    except dagger.QueryError as error:
        remedy = f"correct it there, or its 'build_args' in {inputs.file}"
        remedy = f"{note}; or {remedy}" if note else remedy
        if not isinstance(error, dagger.ExecError):
            if required := explain_missing(str(error)):
                raise PipelineError(Code.BUILD_SECRET_MISSING, f"{name} was not built: {required}") from error
            remedy = explain_rejected_pull(str(error), None, inputs.logins.registries) or remedy
        reason = inputs.logins.hide(reason_of(error))
        if image := unpulled_image(error):
            reason = f"{image} cannot be pulled: {reason}"
        raise PipelineError(Code.DOCKERFILE_FAILED, f"{name} was not built: {reason}; {remedy}") from error
    settings = docker_settings(text)
    log(describe(inputs.image, str(inputs.spec.dockerfile), settings))
    # A login shell sets its own PATH: the image's value must be set after that.
    activation = {name: value for name, value in (await read_variables(container)).items() if name == "PATH"}
    return Built(container, container, dag.directory(), activation, settings=settings, protected=True)
