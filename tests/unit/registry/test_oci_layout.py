import pytest
from dagger import dag

from pipeline.build.image import Environment, Image
from pipeline.errors import Code
from pipeline.registry.oci_layout import MOST_LAYERS, lost_triggers, require_few_layers, with_inherited
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


def test_settings_of_a_base_are_taken_over() -> None:
    """A Dockerfile's own come first; steps for the next build are done with after it."""
    inherited = {"Healthcheck": {"Test": ["CMD", "a"]}, "Shell": ["/bin/sh"], "OnBuild": ["RUN a"]}
    own = {"Healthcheck": {"Test": ["NONE"]}, "OnBuild": ["RUN b"]}
    assert with_inherited(own, inherited) == own | {"Shell": ["/bin/sh"]}
    assert with_inherited({}, {"OnBuild": ["RUN a"]}) == {}


def test_steps_that_nobody_runs_are_reported() -> None:
    """Those of a base image of pixi's; the build of a Dockerfile has run them."""
    environment = Environment(dag.directory(), "/app/.pixi/envs/default", dag.file("layers", ""))
    installed = Image("small", dag.container(), dag.container(), environment, base="example.org/base:1")
    assert lost_triggers(installed, {}) == ""
    assert lost_triggers(Image.of("small", dag.container()), {"OnBuild": ["RUN a"]}) == ""
    found = lost_triggers(installed, {"OnBuild": ["RUN a", "COPY b /"]})
    assert found.startswith("small: base image example.org/base:1 has ONBUILD steps (RUN a; COPY b /), ")
