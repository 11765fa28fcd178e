"""Probe TensorFlow: how it was built, what there is of a GPU, and an operation compiled by XLA on each device.

Without a GPU, nothing of it is a failure. What is missing on the way to a working one, the pipeline decides from what
is collected here. With the argument ``gpu``, a GPU was asked for, and without a working one this ends with 1.
"""

import ctypes
import json
import os
import pathlib
import re
import sys

# Its start-up notices would bury what a failing probe has to say.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if "gpu" in sys.argv[1:] else "2")

SIZE = 64


def driver():
    """What the kernel and the driver's own library say, whatever TensorFlow thinks."""
    found = {"device_files": sorted(str(path) for path in pathlib.Path("/dev").glob("nvidia[0-9]*"))}
    version = pathlib.Path("/proc/driver/nvidia/version")
    if version.exists():
        text = version.read_text()
        match = re.search(r"Module.*?\s(\d+(\.\d+)+)", text)
        found["kernel_driver"] = match[1] if match else text.splitlines()[0]
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return found
    found["libcuda"] = True
    number = ctypes.c_int()
    if cuda.cuDriverGetVersion(ctypes.byref(number)) == 0:
        found["cuda_driver"] = f"{number.value // 1000}.{number.value % 1000 // 10}"
    number.value = 0
    error = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(number))
    if error:
        found["cuda_error"] = error
    found["cuda_devices"] = number.value
    return found


found = driver()

import tensorflow as tf  # noqa: E402  # what the driver says is found without it

found["built_with_cuda"] = tf.test.is_built_with_cuda()
found["built_cuda"] = tf.sysconfig.get_build_info().get("cuda_version")
gpus = tf.config.list_physical_devices("GPU")
found["devices"] = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]


@tf.function(jit_compile=True)
def add_up(a, b):
    """Add up a product of matrices, which cuBLAS does, and powers, which on a GPU need CUDA's libdevice."""
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
found["errors"] = []
for number in range(len(gpus)):
    try:
        run_on(f"/GPU:{number}")
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what the pipeline wants to know
        found["errors"].append(str(error))

build = "CUDA build" if found["built_with_cuda"] else "CPU-only build"
names = ", ".join(found["devices"]) or "no GPU found"
print(
    json.dumps(
        {"version": tf.__version__, "detail": f"{build}, {names}, XLA operation run", "gpu": found},
    )
)
if found["errors"] or ("gpu" in sys.argv[1:] and not gpus):
    sys.exit(1)
