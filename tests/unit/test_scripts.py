"""The scripts that run in images, run here: with a shell and a Python, a driver and a TensorFlow that are made up."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from pipeline.smoke.evaluate import ProbeReport, ended
from pipeline.smoke.gpu import GpuFacts

PIPELINE = Path(__file__).parents[2] / "pipeline"

#: As much of a driver's library as the probe calls: it says what the machine has by its names.
LIBCUDA = """
int cuDriverGetVersion(int *version) { *version = 12080; return 0; }
int cuInit(unsigned flags) { return INIT; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
"""
#: As much of TensorFlow as the probe calls, with numbers for matrices: the second of two GPUs fails.
TENSORFLOW = """
import types

__version__ = "2.0.0"
GPUS = [types.SimpleNamespace(name=f"/physical_device:GPU:{number}") for number in range(2)]
device_of = []


class device:
    def __init__(self, name):
        self.name = name

    def __enter__(self):
        device_of.append(self.name)

    def __exit__(self, *_):
        pass


def function(jit_compile):
    return lambda made: made


def matmul(a, b):
    if device_of[-1] == "/GPU:1":
        raise RuntimeError("libdevice not found at ./libdevice.10.bc")
    return 64.0**3


ones = lambda shape: shape
pow = lambda a, b: 64.0**2
reduce_sum = lambda value: value
test = types.SimpleNamespace(is_built_with_cuda=lambda: True)
sysconfig = types.SimpleNamespace(get_build_info=lambda: {"cuda_version": "12.5"})
config = types.SimpleNamespace(
    list_physical_devices=lambda kind: GPUS,
    experimental=types.SimpleNamespace(get_device_details=lambda gpu: {"device_name": f"GPU {gpu.name[-1]}"}),
)
"""


#: A command that hangs, found by its arguments among all processes, as it is no child of ours.
HANGING: Final = ["sleep", f"600.{secrets.randbelow(10**9):09}"]


def hanging() -> list[psutil.Process]:
    """The processes that hang still."""
    return [process for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"] == HANGING]


def limit(seconds: int, expected: int, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command below the time limit of probes."""
    return subprocess.run(
        ["sh", str(PIPELINE / "scripts/limit.sh"), str(seconds), str(expected), *command],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("expected", "command", "failure"),
    [
        (0, ["true"], None),
        (3, ["sh", "-c", "exit 3"], None),
        (3, ["true"], "exited with 0 instead of 3"),
        (0, ["sh", "-c", "exit 3"], "exited with 3"),
        (0, ["sh", "-c", "kill -SEGV $$"], "was killed by signal 11 (SIGSEGV)"),
        (0, ["/nowhere"], "exited with 127"),
    ],
)
def test_a_limited_command_ends_as_itself(expected: int, command: list[str], failure: str | None) -> None:
    """The expected exit code is a success, and any other end is reported by the last line."""
    end = limit(9, expected, *command)
    assert end.returncode == (0 if failure is None else 1)
    assert failure is None or ended(end.stdout, end.stderr, "late", expected).failure == failure


def test_a_limited_command_keeps_its_output() -> None:
    """The output of a command before its timeout is kept, and its end is not waited for."""
    end = limit(3, 0, "sh", "-c", f"echo working; exec {' '.join(HANGING)} >/dev/null 2>&1")
    (left,) = hanging()
    left.kill()
    found = ended(end.stdout, end.stderr, "late")
    assert (found.failure, found.output) == ("late", "working")


def test_files_are_told_by_kind_mode_and_text(tmp_path: Path) -> None:
    """For each path there are three fields, whatever is there; the text of a file only where it is wanted."""
    (tmp_path / "a b").write_text("one\ntwo\n", encoding="utf-8")
    (tmp_path / "a b").chmod(0o640)
    (tmp_path / "link").symlink_to("/a b")
    (tmp_path / "folder").mkdir(mode=0o755)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(f"root:x:99999:0\nme:x:{os.getuid()}:0:a comment:/\n", encoding="utf-8")
    paths = [("yes", "/a b"), ("no", "/link"), ("yes", "/folder"), ("no", "/nowhere")]
    arguments = [word for pair in paths for word in pair]
    command = [sys.executable, "-m", "pipeline.scripts.files", str(tmp_path), *arguments]
    output = subprocess.run(command, capture_output=True, check=True, cwd=PIPELINE.parent)
    fields = output.stdout.decode().split("\0")
    assert fields[:3] == ["file", f"640 me {os.getuid()}", "one\ntwo\n"]
    assert (fields[3], fields[4][:3], fields[5]) == ("file", "640", "")
    assert (fields[6], fields[7][:3], fields[8]) == ("folder", "755", "")
    assert fields[9:] == ["", "", "", ""]


def run_imports(folder: Path, seconds: int, *modules: str) -> list[dict[str, Any]]:
    """Results of the probe of imports for modules, some of which are in a folder."""
    ended = subprocess.run(
        [sys.executable, str(PIPELINE / "smoke/probes/imports.py"), str(seconds), *modules],
        capture_output=True,
        cwd=folder,
        check=False,
    )
    found: list[dict[str, Any]] = json.loads(ended.stdout.splitlines()[-1])
    assert ended.returncode == any(entry["ended"] != 0 for entry in found)
    return found


def test_imports_do_not_hide_each_other(tmp_path: Path) -> None:
    """A module that crashes, one that is missing and one that prints are reported each by itself, in their order."""
    (tmp_path / "crashes.py").write_text("import ctypes\nctypes.string_at(0)\n", encoding="utf-8")
    (tmp_path / "prints.py").write_text("print('[]')\n", encoding="utf-8")
    found = run_imports(tmp_path, 60, "crashes", "json", "nowhere", "prints")
    assert [(entry["module"], entry["ended"]) for entry in found] == [
        ("crashes", -11),
        ("json", 0),
        ("nowhere", 1),
        ("prints", 0),
    ]
    assert "No module named 'nowhere'" in found[2]["output"]


def test_an_import_that_hangs_is_stopped_with_all_it_started(tmp_path: Path) -> None:
    """A module that waits for what it started is stopped after its time."""
    (tmp_path / "hangs.py").write_text(f"import subprocess\nsubprocess.run({HANGING})\n", encoding="utf-8")
    (found,) = run_imports(tmp_path, 1, "hangs")
    assert found["ended"] is None
    assert psutil.wait_procs(hanging(), timeout=60)[1] == []


def run_tensorflow(folder: Path, init: int, *arguments: str) -> tuple[int, GpuFacts]:
    """Exit code and GPU facts of the probe of TensorFlow on a machine that is made up.

    Args:
        folder: an empty one.
        init: what the driver returns where it is started.
        arguments: of the probe.
    """
    (folder / "cuda.c").write_text(LIBCUDA.replace("INIT", str(init)), encoding="utf-8")
    subprocess.run(["cc", "-shared", "-o", folder / "libcuda.so.1", folder / "cuda.c"], check=True)
    (folder / "tensorflow.py").write_text(TENSORFLOW, encoding="utf-8")
    shutil.copy(PIPELINE / "smoke/probes/tensorflow.py", folder / "probe.py")
    ended = subprocess.run(
        [sys.executable, folder / "probe.py", *arguments],
        env={**os.environ, "LD_LIBRARY_PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    report = ProbeReport.model_validate_json(ended.stdout.splitlines()[-1])
    assert report.version == "2.0.0"
    assert report.gpu is not None
    return ended.returncode, report.gpu


def test_what_there_is_of_a_gpu_is_collected(tmp_path: Path) -> None:
    """Driver, devices and build are reported, and each GPU on which the operation fails; that ends the probe badly."""
    code, found = run_tensorflow(tmp_path, 0)
    assert code == 1
    assert (found.libcuda, found.cuda_error, found.cuda_devices, found.cuda_driver) == (True, None, 2, "12.8")
    assert (found.built_with_cuda, found.built_cuda, found.devices) == (True, "12.5", ("GPU 0", "GPU 1"))
    assert found.errors == ("libdevice not found at ./libdevice.10.bc",)


def test_a_driver_that_does_not_start_is_collected(tmp_path: Path) -> None:
    """The driver's error is reported by its number, and no device is counted."""
    _, found = run_tensorflow(tmp_path, 803, "gpu")
    assert (found.libcuda, found.cuda_error, found.cuda_devices) == (True, 803, 0)
