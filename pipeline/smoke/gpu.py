"""Diagnosis of a TensorFlow probe's facts about GPUs: the first step to a working GPU that is missing."""

import enum
import re
from typing import Final

from pydantic import BaseModel, ConfigDict

#: CUDA's error numbers with a specific cause, from cuda.h.
NO_DEVICE: Final = 100
MISMATCHES: Final = frozenset({803, 804})


class State(enum.Enum):
    """State of the GPUs, from no driver to a working operation."""

    NO_DRIVER = "no driver"
    NO_DEVICE = "driver, no device"
    NO_CUDA = "device, TensorFlow without CUDA"
    FAILS = "CUDA, the operation fails"
    WELL = "all well"


class GpuFacts(BaseModel):
    """Facts that the probe collected in the container."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kernel_driver: str | None = None
    """Version in ``/proc/driver/nvidia/version``, which every container of a machine with a driver sees."""

    device_files: tuple[str, ...] = ()
    """GPUs among ``/dev/nvidia*``, which only a container that was started with GPUs has."""

    libcuda: bool = False
    """Whether the driver's library ``libcuda.so.1`` could be loaded."""

    cuda_error: int | None = None
    """Error number that ``cuInit`` or ``cuDeviceGetCount`` returned."""

    cuda_devices: int = 0
    """Number of devices from ``cuDeviceGetCount``."""

    cuda_driver: str | None = None
    """Newest CUDA version that the driver supports."""

    built_with_cuda: bool = False
    """Whether TensorFlow was built for CUDA."""

    built_cuda: str | None = None
    """CUDA version that TensorFlow was built for."""

    devices: tuple[str, ...] = ()
    """GPUs that TensorFlow found."""

    errors: tuple[str, ...] = ()
    """Error of each GPU on which the operation failed."""


def diagnose(facts: GpuFacts) -> tuple[State, str]:
    """Return the state of the GPUs, and a clause with the missing step and its remedy."""
    if not (facts.kernel_driver or facts.libcuda or facts.device_files):
        return State.NO_DRIVER, (
            "found no NVIDIA driver; use a machine that has one (nvidia-smi works there), and an engine with GPUs"
        )
    if not facts.device_files or not facts.libcuda or facts.cuda_error or not facts.cuda_devices:
        return State.NO_DEVICE, f"found a driver{_version(facts.kernel_driver)} but no device: {_no_device(facts)}"
    if not facts.built_with_cuda:
        return State.NO_CUDA, (
            f"found {_count(facts.cuda_devices)}, but TensorFlow is not a CUDA build; "
            "ask for tensorflow-gpu in pixi.toml, set 'cuda' in image.toml, and lock again"
        )
    if not facts.devices:
        return State.NO_CUDA, f"found {_count(facts.cuda_devices)} that TensorFlow cannot use: {_no_cuda(facts)}"
    if facts.errors:
        return State.FAILS, f"found {', '.join(facts.devices)}, but an operation fails on it: {_fails(facts.errors)}"
    return State.WELL, f"found {', '.join(facts.devices)}, and operations run on it"


def failure_of(facts: GpuFacts, *, required: bool) -> str:
    """Return the failure of a probe for its GPUs; empty where they are no failure.

    Args:
        facts: the facts that the probe collected.
        required: whether the call asks for GPUs. Otherwise only a GPU that is there and does not work is a failure.
    """
    state, clause = diagnose(facts)
    return clause if state is State.FAILS or (required and state is not State.WELL) else ""


def _no_device(facts: GpuFacts) -> str:
    if not facts.device_files:
        return (
            "the container was given none; start it with GPUs (--gpu here, --gpus all with docker, --nv with apptainer)"
        )
    if not facts.libcuda:
        return (
            "libcuda.so.1, the driver's library, is not in the container; install nvidia-container-toolkit on the "
            "machine, or mount the library's folder at /host-libs"
        )
    if facts.cuda_error in MISMATCHES:
        return (
            "its library and its kernel module are of different versions; "
            "restart the machine, or mount the library that belongs to the module"
        )
    if facts.cuda_error and facts.cuda_error != NO_DEVICE:
        return f"CUDA does not start (error {facts.cuda_error}); see what nvidia-smi reports on the machine"
    return (
        "CUDA counts no device; check that NVIDIA_VISIBLE_DEVICES names one, and what nvidia-smi reports on the machine"
    )


def _no_cuda(facts: GpuFacts) -> str:
    if facts.cuda_driver and facts.built_cuda and _numbers(facts.cuda_driver) < _numbers(facts.built_cuda):
        return (
            f"it is built for CUDA {facts.built_cuda}, and the driver supports {facts.cuda_driver} at most; "
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
