import pytest

from pipeline.errors import Code
from pipeline.registry.oci_layout import MOST_LAYERS, require_few_layers
from tests.unit.refusals import refused


@pytest.mark.parametrize("layers", [1, MOST_LAYERS])
def test_what_every_runtime_can_stack_is_taken(layers: int) -> None:
    """Docker stacks 125."""
    require_few_layers("small", layers, installed=True)


@pytest.mark.parametrize(
    ("layers", "installed", "remedy"),
    [
        (126, False, "join RUN and COPY steps of its Dockerfile"),
        (131, False, "join RUN and COPY steps of its Dockerfile"),
        (80 + 60 + 1, True, "choose a 'runtime_base' with fewer layers"),
    ],
)
def test_what_no_runtime_can_stack_is_refused(layers: int, installed: bool, remedy: str) -> None:  # noqa: FBT001  # a row
    """Both numbers are in the message, and what to do about it for this kind of image."""
    with refused(Code.LAYERS_TOO_MANY, "small", f"{layers} layers", "no more than 125", remedy):
        require_few_layers("small", layers, installed=installed)
