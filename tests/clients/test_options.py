"""Options of Apptainer that sites use."""

from typing import Final

import pytest

from tests.clients.site import Site

WHERE: Final = "import os, sys; print(sys.prefix, os.environ.get('OF_THE_HOST'))"
PREFIX: Final = "/app/.pixi/envs/ml"
WRITE: Final = ("touch", "/workspace/written")


@pytest.mark.parametrize("form", ["docker", "sif", "folder"])
def test_the_environment_is_active_without_anything_of_the_host(site: Site, form: str) -> None:
    """With `--containall --cleanenv`, no variable and no folder of the host is there, and the environment is active."""
    words = site.apptainer("columnar", form, "--containall", "--cleanenv")
    script = f"{WHERE}; print(os.listdir(os.environ['HOME']))"
    printed = site.clients.run(*words, "python", "-c", script, environment={"OF_THE_HOST": "seen"})
    assert printed.splitlines() == [f"{PREFIX} None", "[]"]


def test_variables_of_the_host_are_there_by_default(site: Site) -> None:
    """Without options, Apptainer hands on variables that the image does not set itself."""
    words = site.apptainer("columnar")
    assert site.clients.run(*words, "python", "-c", WHERE, environment={"OF_THE_HOST": "seen"}) == f"{PREFIX} seen"


def test_a_layer_in_memory_can_be_written_to(site: Site) -> None:
    """With `--writable-tmpfs` files can be made where an image lets everybody; without it none can be."""
    refused = site.clients.attempt(*site.apptainer("columnar"), *WRITE)
    assert refused.returncode != 0
    assert "Read-only file system" in refused.stderr
    site.clients.run(*site.apptainer("columnar", "sif", "--writable-tmpfs"), *WRITE)


def test_no_gpu_is_no_failure(site: Site) -> None:
    """With `--nv` on a node without GPUs, commands run."""
    words = site.apptainer("columnar", "sif", "--nv")
    assert site.clients.run(*words, "python", "-c", WHERE) == f"{PREFIX} None"
