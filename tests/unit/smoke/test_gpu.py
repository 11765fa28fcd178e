"""Made-up GPU facts, with values that documentation and users of real machines show."""

import pytest

from pipeline.smoke.gpu import GpuFacts, State, diagnose, failure_of

#: A workstation on which everything works.
WELL = {
    "kernel_driver": "570.133.20",
    "device_files": ("/dev/nvidia0",),
    "libcuda": True,
    "cuda_devices": 1,
    "cuda_driver": "12.8",
    "built_with_cuda": True,
    "built_cuda": "12.8",
    "devices": ("NVIDIA RTX A5000",),
}
#: A container of that workstation that was started without its GPU: only /proc shows the driver.
NOT_GIVEN = {"kernel_driver": "570.133.20", "built_with_cuda": True, "built_cuda": "12.8"}
LIBDEVICE = "libdevice not found at ./libdevice.10.bc [Op:__inference_add_up_23]"


@pytest.mark.parametrize(
    ("values", "state", "clause"),
    [
        ({}, State.NO_DRIVER, "found no NVIDIA driver; use a machine that has one"),
        ({"built_with_cuda": True}, State.NO_DRIVER, "found no NVIDIA driver"),
        (NOT_GIVEN, State.NO_DEVICE, "found a driver 570.133.20 but no device: the container was given none; start it"),
        (NOT_GIVEN | {"libcuda": True, "cuda_error": 100}, State.NO_DEVICE, "the container was given none"),
        (WELL | {"libcuda": False, "cuda_devices": 0}, State.NO_DEVICE, "libcuda.so.1, the driver's library, is not"),
        (WELL | {"cuda_error": 803, "cuda_devices": 0}, State.NO_DEVICE, "are of different versions; restart"),
        (WELL | {"cuda_error": 999, "cuda_devices": 0}, State.NO_DEVICE, "CUDA does not start (error 999); see what"),
        (
            WELL | {"cuda_error": 100, "cuda_devices": 0},
            State.NO_DEVICE,
            "CUDA counts no device; check that NVIDIA_VIS",
        ),
        (WELL | {"cuda_devices": 0}, State.NO_DEVICE, "CUDA counts no device"),
        (
            WELL | {"built_with_cuda": False, "built_cuda": None, "devices": ()},
            State.NO_CUDA,
            "found 1 GPU, but TensorFlow is not a CUDA build; ask for tensorflow-gpu in pixi.toml",
        ),
        (
            WELL | {"cuda_driver": "11.4", "devices": ()},
            State.NO_CUDA,
            "found 1 GPU that TensorFlow cannot use: it is built for CUDA 12.8, and the driver supports 11.4 at most",
        ),
        (WELL | {"cuda_devices": 2, "devices": ()}, State.NO_CUDA, "found 2 GPUs that TensorFlow cannot use: its CUDA"),
        (
            WELL | {"errors": (LIBDEVICE,)},
            State.FAILS,
            "./libdevice.10.bc [Op:__inference_add_up_23]; add cuda-nvcc to",
        ),
        (WELL | {"errors": ("Couldn't invoke ptxas --version",)}, State.FAILS, "add cuda-nvcc to pixi.toml"),
        (WELL | {"errors": ("RESOURCE_EXHAUSTED: Out of memory",)}, State.FAILS, "its memory is in use; end what else"),
        (
            WELL | {"errors": ("CUDA_ERROR_NO_BINARY_FOR_GPU: no kernel image is available",)},
            State.FAILS,
            "it is too old or too new for this build",
        ),
        (WELL | {"errors": ("INTERNAL: something else",)}, State.FAILS, "compare the versions of driver, CUDA and"),
        (WELL, State.WELL, "found NVIDIA RTX A5000, and operations run on it"),
    ],
)
def test_the_first_step_that_is_missing_is_told(values: dict[str, object], state: State, clause: str) -> None:
    """Each of the five states is distinguished, in one clause with the cause and the remedy."""
    found = diagnose(GpuFacts.model_validate(values))
    assert found[0] is state
    assert clause in found[1]
    assert "\n" not in found[1]


@pytest.mark.parametrize(
    ("values", "wanted", "fails"),
    [
        ({}, False, False),
        ({}, True, True),
        (NOT_GIVEN, False, False),
        (NOT_GIVEN, True, True),
        (WELL | {"built_with_cuda": False, "devices": ()}, False, False),
        (WELL | {"errors": (LIBDEVICE,)}, False, True),
        (WELL | {"errors": (LIBDEVICE,)}, True, True),
        (WELL, True, False),
    ],
)
def test_a_missing_gpu_counts_when_it_was_asked_for(values: dict[str, object], *, wanted: bool, fails: bool) -> None:
    """Only a test with GPUs fails for want of one; a GPU that is there and fails is a failure in any case."""
    assert bool(failure_of(GpuFacts.model_validate(values), required=wanted)) == fails


def test_versions_are_compared_as_numbers() -> None:
    """A driver for CUDA 12.10 is newer than a build for 12.8."""
    clause = diagnose(GpuFacts.model_validate(WELL | {"cuda_driver": "12.10", "devices": ()}))[1]
    assert "its CUDA libraries do not load" in clause
