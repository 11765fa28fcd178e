"""Entries of an image's layers as they are pushed, looked at without making the layers."""

from dagger import dag

from pipeline.build.image import Image
from pipeline.build.tool_container import read_report, with_packages, with_scripts
from pipeline.config.settings import Settings
from pipeline.credentials.logins import Logins
from pipeline.registry.artifact import LAYOUT_SCRIPTS
from pipeline.registry.base_layers import LAYERS, find_base
from pipeline.scripts.messages import LayerReport

_ARCHIVE = "/image.tar"
_BASE = "/base.json"
_ROOT = "/environment"
_LAYERS = "/layers.json"


async def check_layers(settings: Settings, image: Image, logins: Logins) -> LayerReport:
    """Run the script ``check_layers`` for an image.

    Args:
        settings: the settings.
        image: the image for one platform.
        logins: credentials for the registry of the base image.

    Raises:
        PipelineError: the layers cannot be read, or those of the base image cannot be described.
    """
    container = (
        dag.container()
        .from_(settings.fetch_base)
        .with_(with_packages("layers.lock"))
        .with_(with_scripts(*LAYOUT_SCRIPTS, "check_layers.py"))
        .with_mounted_file(_ARCHIVE, image.without_environment.as_tarball())
    )
    base, root, prefix, layers = "-", "-", "-", "-"
    if found := await find_base(image, logins):
        described = await found.describe(settings)
        base, container = _BASE, container.with_mounted_file(_BASE, described.file(LAYERS))
    if image.environment:
        root, prefix, layers = _ROOT, image.environment.prefix, _LAYERS
        container = container.with_mounted_directory(_ROOT, image.environment.root)
        container = container.with_mounted_file(_LAYERS, image.environment.layers)
    command = ["python", "-m", "pipeline.scripts.check_layers", _ARCHIVE, base, root, prefix, layers]
    return await read_report(container.with_exec(command), LayerReport, f"{image.name}: its layers cannot be read")
