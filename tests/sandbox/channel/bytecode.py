"""Byte code that is the same for the same source, on whatever day and in whatever order it is made."""

import subprocess
from pathlib import Path


def compile_modules(program: Path, tree: Path, folder: Path, *, unchecked: bool) -> None:
    """Compile the modules in a folder of a tree; the byte code says the paths relative to the tree.

    Args:
        program: the interpreter that the byte code is for.
        tree: the prefix that the folder belongs to.
        folder: all below it is compiled, a module with an error (some are test data) excepted.
        unchecked: whether the byte code is used without a look at its source. Otherwise it is tied to the source's
            time, as in the packages of conda-forge.
    """
    mode = "unchecked-hash" if unchecked else "timestamp"
    # One process, and no random hashes: what else a process has compiled shows in the bytes.
    command = [str(program), "-s", "-S", "-P", "-m", "compileall", "-qq", "-f", "--invalidation-mode", mode]
    # sysconfig's data names the prefix: in byte code it could not be replaced when the package is installed.
    command += ["-x", "_sysconfigdata_", "-s", str(tree), str(folder)]
    subprocess.run(command, check=False, capture_output=True, env={"PYTHONHASHSEED": "0"})
