"""Probe TensorFlow: how it was built, which devices it finds, and an operation compiled by XLA on each kind of them."""

import json
import os

# Its start-up notices would bury what a failing probe has to say.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

cuda = tf.test.is_built_with_cuda()
gpus = tf.config.list_physical_devices("GPU")


@tf.function(jit_compile=True)
def product(a, b):
    """Add up a product of matrices."""
    return tf.reduce_sum(tf.matmul(a, b))


def run_on(device):
    """Run the operation on one device, and check its result."""
    with tf.device(device):
        ones = tf.ones((64, 64))
        total = float(product(ones, ones))
    if total != 64.0**3:
        raise SystemExit(f"on {device}, a product of ones adds up to {total} instead of {64.0**3}")


run_on("/CPU:0")
for number in range(len(gpus)):
    run_on(f"/GPU:{number}")

build = "CUDA build" if cuda else "CPU-only build"
names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
print(
    json.dumps(
        {
            "version": tf.__version__,
            "detail": f"{build}, {', '.join(names) or 'no GPU found'}, XLA operation run",
            "cuda": cuda,
            "gpus": names,
        }
    )
)
