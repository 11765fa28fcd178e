"""The main job, as a newcomer types it: the image is built, tested, and looked around in."""

from tests.engine.conftest import Checkout


def test_the_image_is_built(repository: Checkout) -> None:
    """`build` alone builds the whole image."""
    ended = repository.call("build", "--image", "ml_platform")
    assert ended.returncode == 0, ended.stderr


def test_the_image_runs_the_locked_python(repository: Checkout) -> None:
    """A command in the image gets the environment's Python, without an entrypoint."""
    ended = repository.call(
        "build", "--image", "ml_platform", "with-exec", "--args", "python,--version", "stdout"
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("Python 3.12.")


def test_everything_starts(repository: Checkout) -> None:
    """The smoke test tells the versions of Python, ROOT and TensorFlow, and that there is no GPU here."""
    ended = repository.call("smoke-test", "--image", "ml_platform")
    assert ended.returncode == 0, ended.stderr
    table = ended.stdout
    assert "no GPU found" in table
    assert "CUDA build" in table
    for probe in ("python", "root", "tensorflow"):
        line = next(line for line in table.splitlines() if f" {probe} " in line)
        assert "passed" in line
    assert "3.12." in table


def test_a_missing_gpu_fails_when_it_is_asked_for(repository: Checkout) -> None:
    """With --gpu, an engine without GPUs is told in one sentence."""
    said = repository.refusal("smoke-test", "--image", "ml_platform", "--gpu")
    assert said == (
        "1 of 21 probes failed (ml_platform: tensorflow could not be given a GPU by the engine; "
        "docs/gpus.md says what it needs)"
    )


def test_the_images_are_listed(repository: Checkout) -> None:
    """`images` has a line an image."""
    ended = repository.call("images")
    assert ended.returncode == 0, ended.stderr
    assert [line.split("  ")[0] for line in ended.stdout.splitlines()] == ["columnar", "ml_platform"]
    assert "ml_platform  Machine learning" in ended.stdout


def test_everything_is_explained(repository: Checkout) -> None:
    """`--help` of each function has its own line and one an argument."""
    listed = repository.call("--help")
    assert "Build an image: its locked environment" in listed.stdout
    for function, argument in (("build", "--image"), ("smoke-test", "--gpu"), ("smoke-test", "--image")):
        explained = repository.call(function, "--help").stdout
        line = next(line for line in explained.splitlines() if argument in line and "[" not in line.split("--")[0])
        assert len(line.split()) > 4, line
