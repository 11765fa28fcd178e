"""What a PyPI package needs, from its wheel's metadata or from its project's own file."""

import io
import re
import ssl
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from . import logins
from .failures import PixiError
from .manifest import expanded, parse

CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Metadata:
    """What a lock says of a package's needs. A version that is made when the package is built is not locked."""

    version: str = ""
    requires_dist: tuple[str, ...] = ()
    requires_python: str = ""


def fetch(url: str) -> bytes:
    """What is at an address.

    Raises:
        OSError: it cannot be reached; also urllib's errors are.
    """
    context = ssl.create_default_context(cafile=CERTIFICATES if CERTIFICATES.exists() else None)
    asking = urllib.request.Request(url, headers=logins.header(url))  # noqa: S310 -- of an index, or of a lock
    with urllib.request.urlopen(asking, context=context, timeout=60) as answer:  # noqa: S310
        content: bytes = answer.read()
        return content


def of_wheel(place: str) -> Metadata:
    """The metadata of a wheel, which most indexes give alone.

    Args:
        place: its address, or its path.

    Raises:
        PixiError: it cannot be fetched.
    """
    if "://" not in place:
        return _parsed(_inside(Path(place).read_bytes()))
    try:
        return _parsed(fetch(f"{place}.metadata"))
    except urllib.error.HTTPError:
        pass
    except OSError as error:
        raise PixiError(f"Failed to fetch: `{place}`", str(error)) from error
    try:
        return _parsed(_inside(fetch(place)))
    except OSError as error:
        raise PixiError(f"Failed to fetch: `{place}`", str(error)) from error


def of_project(folder: Path) -> Metadata | None:
    """What a project says of itself without being built; None where it says that in no pyproject.toml."""
    file = folder / "pyproject.toml"
    table = parse(file).get("project") if file.is_file() else None
    if table is None:
        return None
    dynamic = table.get("dynamic", [])
    needs = [Requirement(text) for text in table.get("dependencies", [])]
    groups = table.get("optional-dependencies", {})
    for extra, group in groups.items():
        for text in expanded(canonicalize_name(table.get("name", "")), groups, group):
            requirement = Requirement(text)
            alone = f"extra == '{extra}'"
            both = f"({requirement.marker}) and {alone}" if requirement.marker else alone
            requirement.marker = None
            needs.append(Requirement(f"{requirement} ; {both}"))
    version = "" if "version" in dynamic else table.get("version", "")
    return Metadata(version, tuple(written(one) for one in needs), table.get("requires-python", ""))


def written(requirement: Requirement) -> str:
    """A requirement as locks have it."""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    # Versions are numbers: 2023.08 is 2023.8.
    place = f" @ {requirement.url}" if requirement.url else re.sub(r"(?<!\w)0+(?=\d)", "", str(requirement.specifier))
    marker = f" ; {str(requirement.marker).replace('"', "'")}" if requirement.marker else ""
    return f"{canonicalize_name(requirement.name)}{extras}{place}{marker}"


def alike(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether two lists of requirements ask for the same, however their markers are written."""
    return {_meaning(text) for text in one} == {_meaning(text) for text in other}


def _meaning(text: str) -> tuple[str, ...]:
    alone, _, marker = written(Requirement(text)).partition(" ; ")
    return alone, *sorted(re.findall(r"[^\s()]+", marker.replace("python_full_version", "python_version")))


def _parsed(content: bytes) -> Metadata:
    message = BytesParser().parsebytes(content, headersonly=True)
    needs = tuple(written(Requirement(text)) for text in message.get_all("Requires-Dist", []))
    return Metadata(str(message["Version"]), needs, str(message["Requires-Python"] or ""))


def _inside(wheel: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(wheel)) as opened:
        name = next(name for name in opened.namelist() if name.endswith(".dist-info/METADATA") and name.count("/") == 1)
        return opened.read(name)
