"""Images that are built by their own Dockerfile; the steps after that are the same for all images."""

import dagger

from pipeline.build.finalize import Built, read_variables
from pipeline.build.inputs import BuildInputs
from pipeline.build.permissions import with_permissions
from pipeline.credentials.registry_auth import explain_rejected_pull
from pipeline.engine_errors import reason_of
from pipeline.errors import Code, PipelineError


async def build(inputs: BuildInputs) -> Built:
    """Build an image by its Dockerfile, without the common additions of ``finalize``.

    Raises:
        PipelineError: the Dockerfile cannot be read, one of its steps failed, or its image has no shell.
    """
    name = f"{inputs.image}: {inputs.image}/{inputs.spec.dockerfile}"
    container = inputs.folder.docker_build(
        dockerfile=inputs.spec.dockerfile,
        platform=dagger.Platform(inputs.platform),
        build_args=[dagger.BuildArg(key, value) for key, value in inputs.spec.build_args.items()],
    )
    try:
        await container.sync()
    except dagger.QueryError as error:
        remedy = f"correct it there, or its 'build_args' in {inputs.file}"
        if not isinstance(error, dagger.ExecError):
            remedy = explain_rejected_pull(str(error), None, inputs.logins.registries) or remedy
        raise PipelineError(Code.DOCKERFILE_FAILED, f"{name} was not built: {reason_of(error)}; {remedy}") from error
    user = await container.user()
    opened = with_permissions(container.with_user("root"))
    try:
        await opened.sync()
    except dagger.QueryError as error:
        raise PipelineError(
            Code.BASE_IMAGE_UNSUITABLE,
            f"{name} makes an image without sh, find and chmod: {reason_of(error)}; "
            "build it on a base that has them, such as debian:bookworm-slim",
        ) from error
    variables = await read_variables(opened)
    # A login shell sets its own PATH: the image's value must be set after that.
    activation = {name: value for name, value in variables.items() if name == "PATH"}
    container = opened.with_user(user)
    return Built(container, container, dagger.dag.directory(), activation)
