"""Root file systems of other distributions, made of Debian's programs: stand-ins for base images."""

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.sandbox import cache, images, oci, tools

#: Packages of Debian's suite trixie that are unpacked, and not installed.
UNPACKED: Final = {
    "alpine": ("busybox-static", "musl"),
    "almalinux": ("base-files", "bash", "coreutils", "dash", "findutils", "grep", "rpm", "sed", "tar"),
}
#: Packages whose files are taken from the layer of bookworm.
DISTROLESS: Final = ("base-files", "ca-certificates", "libc6", "libssl3")
#: Like Alpine's: it lists libraries in the folders that it is called with, and without any it fails.
LDCONFIG: Final = '#!/bin/sh\n[ $# -gt 0 ] && ls "$@"\n'
APK_DATABASE: Final = """\
C:Q1jOVwVbPD0Pdd8oLnTLjuEZNQNmA=
P:musl
V:1.2.5-r10
A:x86_64
T:the musl c library (libc) implementation
o:musl
L:MIT
F:usr/lib
R:ld-musl-x86_64.so.1

P:busybox
V:1.37.0-r18
A:x86_64
T:Size optimized toolbox of many common UNIX utilities
o:busybox
L:GPL-2.0-only
F:usr/bin
R:busybox

"""
#: A package of RPM with a library, and one with an epoch and a Python package.
SPECS: Final = {
    "zlib": """\
Name: zlib
Version: 1.2.11
Release: 40.el9
Summary: A library
License: zlib and Boost
%description
A library.
%install
mkdir -p %{buildroot}/usr/lib64
echo x > %{buildroot}/usr/lib64/libz.so.1
%files
/usr/lib64/libz.so.1
""",
    "python3-six": """\
Name: python3-six
Epoch: 2
Version: 1.15.0
Release: 9.el9
BuildArch: noarch
Summary: A Python package
License: MIT
%description
A Python package.
%install
mkdir -p %{buildroot}/usr/lib/python3.9/site-packages/six-1.15.0.dist-info
printf 'Name: six\\nVersion: 1.15.0\\n' > %{buildroot}/usr/lib/python3.9/site-packages/six-1.15.0.dist-info/METADATA
%files
/usr/lib/python3.9/site-packages/six-1.15.0.dist-info
""",
}


def layer(name: str) -> Path:
    """The compressed layer of a root file system, made where it is missing.

    Raises:
        SandboxError: a package of Debian's cannot be had.
    """
    inputs: list[str | Path] = [name, Path(__file__), Path(oci.__file__)]
    return cache.ensure(f"base-{name}", inputs, lambda part: _make(name, part)) / "layer.tar.gz"


def _make(name: str, part: Path) -> None:
    makers: dict[str, Callable[[Path], None]] = {
        "alpine": _alpine,
        "almalinux": _almalinux,
        "distroless": _distroless,
        "conda-runtime": _conda_runtime,
    }
    with tempfile.TemporaryDirectory(dir=part.parent) as folder:
        root = Path(folder) / "root"
        root.mkdir()
        root.chmod(0o755)
        if name in UNPACKED:
            _unpack(name, root)
        makers[name](root)
        _pack(root, part / "layer.tar.gz")


def _pack(root: Path, target: Path) -> None:
    def tidy(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mtime = 0
        entry.uname = entry.gname = ""
        return entry

    plain = target.with_suffix("")
    with tarfile.open(plain, "w", format=tarfile.PAX_FORMAT) as tar:
        for entry in sorted(root.iterdir()):
            tar.add(entry, entry.name, filter=tidy)
    oci.compress(plain, target)
    plain.unlink()


def _unpack(name: str, root: Path) -> None:
    """Unpack packages of Debian's."""
    command = ["mmdebstrap", "--mode=root", "--variant=extract", "--skip=output/dev"]
    log = cache.root() / "sandbox" / "log" / f"make-base-{name}.log"
    tar = root.with_suffix(".tar")
    tools.run([*command, f"--include={','.join(UNPACKED[name])}", "trixie", str(tar)], log, "Debian's package archive")
    subprocess.run(["tar", "-xf", tar, "-C", root], check=True)
    left_out = ("etc/apt", "etc/hostname", "etc/resolv.conf", "usr/share/doc", "usr/share/man")
    for left in (*left_out, "var/cache/apt", "var/lib/apt", "var/lib/dpkg"):
        path = root / left
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _alpine(root: Path) -> None:
    (root / "usr/lib/ld-musl-x86_64.so.1").chmod(0o755)
    for name in ("bin", "lib", "sbin"):
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    for folder in ("usr/sbin", "usr/lib/apk/db", "tmp"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    listed = subprocess.run([root / "usr/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout
    for program in listed.split():
        if program not in {"busybox", "ldconfig"}:
            (root / "usr/bin" / program).symlink_to("busybox")
    _write_text(root, "usr/sbin/ldconfig", LDCONFIG, 0o755)
    _write_text(root, "usr/lib/apk/db/installed", APK_DATABASE)
    _write_text(root, "etc/os-release", "ID=alpine\nVERSION_ID=3.22.1\n")
    _write_text(root, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    _write_text(root, "etc/group", "root:x:0:\n")


def _almalinux(root: Path) -> None:
    (root / "etc/os-release").unlink(missing_ok=True)
    _write_text(root, "etc/os-release", 'ID="almalinux"\nVERSION_ID="9.6"\n')
    _write_text(root, "etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
    _write_text(root, "etc/group", "root:x:0:\n")
    for name, text in SPECS.items():
        _write_text(root, f"{name}.spec", text)
        build = ["rpmbuild", "-bb", "--define", "_rpmdir /tmp/rpms", "--define", "_topdir /tmp/top"]
        subprocess.run(["chroot", root, *build, f"/{name}.spec"], check=True, capture_output=True)
        (root / f"{name}.spec").unlink()
    packages = [f"/{path.relative_to(root)}" for path in (root / "tmp/rpms").rglob("*.rpm")]
    subprocess.run(["chroot", root, "rpm", "--install", "--nodeps", *packages], check=True, capture_output=True)
    for left in (root / "tmp").iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def _distroless(root: Path) -> None:
    with _root_of("bookworm") as source:
        status = (source / "var/lib/dpkg/status").read_text()
        paragraphs = {text.split("\n", 1)[0].removeprefix("Package: "): text for text in status.split("\n\n")}
        for package in DISTROLESS:
            listed = next((source / "var/lib/dpkg/info").glob(f"{package}*.list")).read_text()
            _copy(source, root, (path for path in listed.splitlines() if path != "/."))
            _write_text(root, f"var/lib/dpkg/status.d/{package}", f"{paragraphs[package]}\n")
        _copy(source, root, ["/etc/ssl/certs/ca-certificates.crt"])
    shutil.rmtree(root / "usr/sbin", ignore_errors=True)
    shutil.rmtree(root / "usr/bin", ignore_errors=True)
    _write_text(root, "etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:\n")
    _write_text(root, "etc/group", "root:x:0:\nnonroot:x:65532:\n")


def _conda_runtime(root: Path) -> None:
    """As its Dockerfile makes it: the C library in /lib, bash and its library, locales, accounts, and their origins."""
    origins = []
    with _root_of("trixie") as source:
        for path in sorted((source / "usr/lib/x86_64-linux-gnu").glob("*.so*")):
            if _is_of_glibc(path.name):
                _place(path, root, f"lib/{path.name}")
                origins.append((f"/lib/{path.name}", "glibc-2.42-r2"))
        _place(source / "usr/bin/bash", root, "bin/bash")
        origins.append(("/bin/bash", "bash-5.3-r13"))
        for path in (source / "usr/lib/locale").rglob("*"):
            if path.is_file():
                _place(path, root, str(path.relative_to(source)))
    (root / "lib64").mkdir()
    (root / "lib64/ld-linux-x86-64.so.2").symlink_to("/lib/ld-linux-x86-64.so.2")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    _write_text(root, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532::/home/nonroot:/bin/sh\n")
    _write_text(root, "etc/group", "root:x:0:\nnonroot:x:65532:\n")
    _write_text(root, "etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    lines = "".join(f"{path}\t/usr{path}\t{package}\n" for path, package in origins)
    _write_text(root, "usr/share/conda-runtime/origins.tsv", lines)


def _is_of_glibc(name: str) -> bool:
    parts = ("ld-linux", "libc.so", "libm.so", "libmvec", "libdl.so", "libpthread", "librt.so", "libutil", "libresolv")
    return name.startswith((*parts, "libnss_", "libanl", "libtinfo"))


def _write_text(root: Path, name: str, text: str, mode: int = 0o644) -> None:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)


def _place(source: Path, root: Path, name: str) -> None:
    target = root / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def _copy(source: Path, root: Path, paths: Iterable[str]) -> None:
    """Copy files and folders with the links that lead to them, all below the real folders of the source."""
    for path in paths:
        real = Path(os.path.realpath((source / path[1:]).parent)) / Path(path).name
        if not real.is_relative_to(source) or not os.path.lexists(real):
            continue
        target = root / real.relative_to(source)
        if real.is_dir() and not real.is_symlink():
            target.mkdir(parents=True, exist_ok=True)
        elif not os.path.lexists(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(real, target, follow_symlinks=False)
    for name in ("bin", "lib", "lib64", "sbin"):
        if (source / name).is_symlink() and not os.path.lexists(root / name):
            (root / name).symlink_to(f"usr/{name}")


@contextmanager
def _root_of(suite: str) -> Iterator[Path]:
    """Debian's root file system of a suite, unpacked for a while."""
    layer = images.root_layers(print)[suite]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        subprocess.run(["tar", "-xzf", layer, "-C", root], check=True)
        yield root
