"""A package for an afternoon: what a person adds to an image where it runs, as docs/running.md has it."""

import io
import zipfile
from typing import Final

from tests.clients.home import write
from tests.clients.site import ANYBODY, LOCKED, Site
from tests.sandbox.clients import HOME

#: Makes a virtual environment, and installs a wheel in it; `&&` in place of the lines of docs/running.md.
AFTERNOON: Final = (
    "python -m venv --system-site-packages /workspace/packages"
    " && /workspace/packages/bin/pip install --quiet --no-index --find-links /wheels afternoon"
)
#: Files of the wheel's `dist-info`.
METADATA: Final = {
    "METADATA": "Metadata-Version: 2.1\nName: afternoon\nVersion: 1.0\nRequires-Dist: numpy\n",
    "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "RECORD": "",
}
#: Prints where a module of that environment and one of the image are.
WHERE: Final = "import afternoon, numpy; print(afternoon.__file__, numpy.__file__)"
PACKAGES: Final = "/workspace/packages/lib/python3.12/site-packages"
#: Paths that it prints.
FOUND: Final = [f"{PACKAGES}/afternoon.py", "/app/.pixi/envs/ml/lib/python3.12/site-packages/numpy/__init__.py"]
#: Runs code in the kernel of that environment, and prints its output.
RUN_IN_KERNEL: Final = """
import sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="afternoon", startup_timeout=240)
client.execute_interactive(sys.argv[1])
manager.shutdown_kernel(now=True)
"""


def wheels(site: Site) -> str:
    """A folder with a wheel that needs numpy, as the user sees it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as wheel:
        wheel.writestr("afternoon.py", "import numpy\n")
        for name, text in METADATA.items():
            wheel.writestr(f"afternoon-1.0.dist-info/{name}", text)
    write(site.clients.home / "wheels/afternoon-1.0-py3-none-any.whl").write_bytes(made.getvalue())
    return f"{HOME}/wheels"


def test_a_package_for_an_afternoon(site: Site) -> None:
    """A person adds a package to the image's, which stay; the image's Python finds it, a kernel does, and Podman."""
    write(site.clients.home / "afternoon/readme")
    folder, wheel = f"{HOME}/afternoon", wheels(site)
    binds = ["--containall", f"--bind={folder}:/workspace,{wheel}:/wheels"]
    site.clients.run(*site.apptainer("ml_platform", "sif", *binds), "sh", "-c", AFTERNOON)
    within = site.apptainer("ml_platform", "sif", *binds)
    assert site.clients.run(*within, "/workspace/packages/bin/python", "-c", WHERE).split() == FOUND
    named = site.apptainer("ml_platform", "sif", *binds, f"--env=PYTHONPATH={PACKAGES}")
    assert site.clients.run(*named, "python", "-c", WHERE).split() == FOUND
    kernels = ["-m", "ipykernel", "install", "--prefix=/workspace/packages", "--name=afternoon"]
    site.clients.run(*within, "/workspace/packages/bin/python", *kernels)
    variables = "--env=JUPYTER_PATH=/workspace/packages/share/jupyter,JUPYTER_RUNTIME_DIR=/tmp"
    beside = site.apptainer("ml_platform", "sif", *binds, variables)
    assert site.clients.run(*beside, "python", "-c", RUN_IN_KERNEL, WHERE).split() == FOUND
    mounted = site.podman("ml_platform", *LOCKED, f"--user={ANYBODY}:0", f"-v={folder}:/workspace:ro")
    assert site.clients.run(*mounted, "/workspace/packages/bin/python", "-c", WHERE).split() == FOUND


def test_a_package_for_a_user_whom_nobody_knows(site: Site) -> None:
    """The same lines do in Podman, with a user of no name and nothing that can be written to but a mounted folder."""
    options = [*LOCKED, f"--user={ANYBODY}:0", "--passwd=false", f"-v={wheels(site)}:/wheels:ro"]
    words = site.podman("columnar", *options, "--tmpfs=/workspace:mode=1777,exec", f"-e=PYTHONPATH={PACKAGES}")
    output = site.clients.run(*words, "sh", "-c", f'{AFTERNOON} && python -c "$0"', WHERE)
    assert output.split() == FOUND
