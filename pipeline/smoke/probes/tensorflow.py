"""Probe TensorFlow: collect facts about its build and the GPUs, and run an operation compiled by XLA on each device.

The pipeline derives from these facts which step to a working GPU is missing. A machine without a GPU is no failure,
except with the argument ``gpu``: it requires a working GPU, and the script exits with 1 without one.
"""

import ctypes
import json
import os
import pathlib
import re
import sys

# TensorFlow's start-up notices would bury the error of a failed probe.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if "gpu" in sys.argv[1:] else "2")

SIZE = 64


def driver():
    """Return the facts from the kernel and the driver's own library, which do not depend on TensorFlow."""
    facts = {"device_files": sorted(str(path) for path in pathlib.Path("/dev").glob("nvidia[0-9]*"))}
    version = pathlib.Path("/proc/driver/nvidia/version")
    if version.exists():
        text = version.read_text()
        match = re.search(r"Module.*?\s(\d+(\.\d+)+)", text)
        facts["kernel_driver"] = match[1] if match else text.splitlines()[0]
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return facts
    facts["libcuda"] = True
    number = ctypes.c_int()
    if cuda.cuDriverGetVersion(ctypes.byref(number)) == 0:
        facts["cuda_driver"] = f"{number.value // 1000}.{number.value % 1000 // 10}"
    number.value = 0
    error = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(number))
    if error:
        facts["cuda_error"] = error
    facts["cuda_devices"] = number.value
    return facts


facts = driver()

import tensorflow as tf  # noqa: E402  # the facts about the driver do not need it

facts["built_with_cuda"] = tf.test.is_built_with_cuda()
facts["built_cuda"] = tf.sysconfig.get_build_info().get("cuda_version")
gpus = tf.config.list_physical_devices("GPU")
facts["devices"] = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]


@tf.function(jit_compile=True)
def add_up(a, b):
    """Return the sum of a matrix product, which uses cuBLAS, and of powers, which on a GPU use CUDA's libdevice."""
    return tf.reduce_sum(tf.matmul(a, b)) + tf.reduce_sum(tf.pow(a, b))


def run_on(device):
    """Run the operation on one device, and check its result."""
    with tf.device(device):
        ones = tf.ones((SIZE, SIZE))
        total = float(add_up(ones, ones))
    expected = SIZE**3 + SIZE**2
    if total != expected:
        raise ArithmeticError(f"on {device}, ones add up to {total} instead of {expected}")


run_on("/CPU:0")
facts["errors"] = []
for number in range(len(gpus)):
    try:
        run_on(f"/GPU:{number}")
    except Exception as error:  # noqa: BLE001  # any error is a fact for the pipeline
        facts["errors"].append(str(error))

build = "CUDA build" if facts["built_with_cuda"] else "CPU-only build"
names = ", ".join(facts["devices"]) or "no GPU found"
print(
    json.dumps(
        {"version": tf.__version__, "detail": f"{build}, {names}, XLA operation run", "gpu": facts},
    )
)
if facts["errors"] or ("gpu" in sys.argv[1:] and not gpus):
    sys.exit(1)
