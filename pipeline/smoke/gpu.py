"""What a TensorFlow probe found out about GPUs, told as one cause: which of the steps to a working GPU is missing."""

import enum
import re
from typing import Final

from pydantic import BaseModel, ConfigDict

#: CUDA's error numbers that have a cause of their own, from cuda.h.
NO_DEVICE: Final = 100
MISMATCHES: Final = frozenset({803, 804})


class State(enum.Enum):
    """How far it goes, from nothing to all."""

    NO_DRIVER = "no driver"
    NO_DEVICE = "driver, no device"
    NO_CUDA = "device, TensorFlow without CUDA"
    FAILS = "CUDA, the operation fails"
    WELL = "all well"


class Found(BaseModel):
    """What the probe collected in the container."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kernel_driver: str | None = None
    """The version in ``/proc/driver/nvidia/version``, which every container of a machine with a driver sees."""

    device_files: tuple[str, ...] = ()
    """The GPUs among ``/dev/nvidia*``, which only a container that was given GPUs has."""

    libcuda: bool = False
    """Whether the driver's library ``libcuda.so.1`` could be loaded."""

    cuda_error: int | None = None
    """What ``cuInit`` or ``cuDeviceGetCount`` returned, where it was an error."""

    cuda_devices: int = 0
    """What ``cuDeviceGetCount`` counted."""

    cuda_driver: str | None = None
    """The newest CUDA version that the driver supports."""

    built_with_cuda: bool = False
    """Whether TensorFlow was built for CUDA."""

    built_cuda: str | None = None
    """The CUDA version that TensorFlow was built for."""

    devices: tuple[str, ...] = ()
    """The GPUs that TensorFlow found."""

    errors: tuple[str, ...] = ()
    """Why an operation failed, for each GPU on which it did."""


def judge(found: Found) -> tuple[State, str]:
    """Which step is missing, and a clause that says so with its remedy."""
    if not (found.kernel_driver or found.libcuda or found.device_files):
        return State.NO_DRIVER, (
            "found no NVIDIA driver; use a machine that has one (nvidia-smi works there), and an engine with GPUs"
        )
    if not found.device_files or not found.libcuda or found.cuda_error or not found.cuda_devices:
        return State.NO_DEVICE, f"found a driver{_version(found.kernel_driver)} but no device: {_no_device(found)}"
    if not found.built_with_cuda:
        return State.NO_CUDA, (
            f"found {_count(found.cuda_devices)}, but TensorFlow is not a CUDA build; "
            "ask for tensorflow-gpu in pixi.toml, set 'cuda' in image.toml, and lock again"
        )
    if not found.devices:
        return State.NO_CUDA, f"found {_count(found.cuda_devices)} that TensorFlow cannot use: {_no_cuda(found)}"
    if found.errors:
        return State.FAILS, f"found {', '.join(found.devices)}, but an operation fails on it: {_fails(found.errors)}"
    return State.WELL, f"found {', '.join(found.devices)}, and operations run on it"


def failure_of(found: Found, *, wanted: bool) -> str:
    """Why a probe failed for its GPUs; empty where it did not.

    Args:
        found: what it collected.
        wanted: whether a GPU was asked for. Where it was not, only one that is there and fails is a failure.
    """
    state, clause = judge(found)
    return clause if state is State.FAILS or (wanted and state is not State.WELL) else ""


def _no_device(found: Found) -> str:
    if not found.device_files:
        return (
            "the container was given none; start it with GPUs (--gpu here, --gpus all with docker, --nv with apptainer)"
        )
    if not found.libcuda:
        return (
            "libcuda.so.1, the driver's library, is not in the container; install nvidia-container-toolkit on the "
            "machine, or mount the library's folder at /host-libs"
        )
    if found.cuda_error in MISMATCHES:
        return (
            "its library and its kernel module are of different versions; "
            "restart the machine, or mount the library that belongs to the module"
        )
    if found.cuda_error and found.cuda_error != NO_DEVICE:
        return f"CUDA does not start (error {found.cuda_error}); see what nvidia-smi says on the machine"
    return "CUDA counts no device; check that NVIDIA_VISIBLE_DEVICES names one, and what nvidia-smi says on the machine"


def _no_cuda(found: Found) -> str:
    if found.cuda_driver and found.built_cuda and _numbers(found.cuda_driver) < _numbers(found.built_cuda):
        return (
            f"it is built for CUDA {found.built_cuda}, and the driver supports {found.cuda_driver} at most; "
            "update the driver, or lower 'cuda' in image.toml and lock again"
        )
    return "its CUDA libraries do not load; see its log for the first that is missing, and add it to pixi.toml"


def _fails(errors: tuple[str, ...]) -> str:
    text = " ".join(errors).lower()
    first = errors[0].strip().splitlines()[0][:200]
    if "libdevice" in text or "ptxas" in text:
        remedy = (
            "add cuda-nvcc to pixi.toml, lock again, and set XLA_FLAGS in [env] of image.toml to "
            "--xla_gpu_cuda_data_dir= and the folder of the environment that has nvvm/libdevice"
        )
    elif "out of memory" in text or "resource_exhausted" in text or "resource exhausted" in text:
        remedy = "its memory is in use; end what else uses it, and try again"
    elif "no kernel image" in text or "compute capability" in text:
        remedy = "it is too old or too new for this build; use another version of TensorFlow or another GPU"
    else:
        remedy = "compare the versions of driver, CUDA and TensorFlow"
    return f"{first}; {remedy}"


def _version(text: str | None) -> str:
    return f" {text}" if text else ""


def _count(number: int) -> str:
    return f"{number} GPU{'s' * (number != 1)}"


def _numbers(text: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", text)[:2]]
