"""Packages as awkward as real ones: each has a peculiarity or a few that conda-forge's packages have.

`awkward-packages` depends on all of them, and is what an image asks for.
"""

import json
from pathlib import Path
from typing import Final

from tests.sandbox.channel import archive
from tests.sandbox.channel.archive import Entry, folder, hard_link, link
from tests.sandbox.channel.interpreter import STDLIB
from tests.sandbox.channel.package import PREFIX

#: Where their files are that have no place of their own.
SHARE: Final = "share/awkward"
#: No expression of SPDX, and not only ASCII.
LICENSE: Final = "BSD-like, see “LICENSE” (or ask) & <MIT/X11>"
#: A value of two lines, of which the second one looks like a command of a shell.
TWO_LINES: Final = "first line\nexport AWKWARD_INNER=inside"
#: Names that are not in the letters of ASCII, or that a shell would take for several words.
NAMES: Final = ("two words", "Größe", "日本語.txt", "🦆", "a'b", "-n", "{}", "*", "back\\slash", "n" * 120)
_PRINTS: Final = f"""\
echo "PATH=/printed by the package awkward-activation"
printf 'no line end, and '
export AWKWARD_SCRIPT="$CONDA_PREFIX/{SHARE}"
export AWKWARD_PRICE='5 $USD'
export AWKWARD_SCRIPT_LINES='one
export two="2"

'
export PATH="$CONDA_PREFIX/{SHARE}/bin:$PATH"
"""
_POST_LINK: Final = f"""\
#!/bin/sh
mkdir -p "$PREFIX/{SHARE}" && date > "$PREFIX/{SHARE}/made-by-post-link"
"""
_MODULE: Final = "def main():\n    print('hello from awkward')\n"


def make(channel: Path) -> None:
    """Write the packages into a channel."""
    packages = {
        "awkward-post-link": [
            Entry("bin/.awkward-post-link-post-link.sh", _POST_LINK.encode(), 0o755),
            Entry(f"{SHARE}/post-link", b"here\n"),
        ],
        "awkward-activation": [
            Entry("etc/conda/activate.d/awkward-activate.sh", _PRINTS.encode()),
            Entry("etc/conda/deactivate.d/awkward-deactivate.sh", b"unset AWKWARD_SCRIPT\n"),
            Entry("etc/conda/env_vars.d/awkward.json", _variables()),
            Entry(f"{SHARE}/bin/awkward-tool", b"#!/bin/sh\necho a tool\n", 0o755),
        ],
        "awkward-modes": [
            folder(f"{SHARE}/closed", 0o555),
            Entry(f"{SHARE}/closed/secret", b"for its owner\n", 0o400),
            Entry(f"{SHARE}/closed/open", b"for everybody\n", 0o666),
            Entry("bin/awkward-setuid", b"#!/bin/sh\nid -u\n", 0o4755),
            folder(f"{SHARE}/empty"),
            Entry(f"{SHARE}/empty-file"),
        ],
        "awkward-placeholders": [
            Entry("bin/awkward-where", f"#!{PREFIX}/bin/python\nprint('{PREFIX}')\n".encode(), 0o755),
            Entry("lib/awkward.bin", f"\x7f\0{PREFIX}/share\0after\0".encode()),
        ],
        "awkward-names": [Entry(f"{SHARE}/names/{name}", name.encode()) for name in NAMES],
        "awkward-links": [
            Entry(f"{SHARE}/one", b"one and the same\n"),
            hard_link(f"{SHARE}/other", f"{SHARE}/one"),
            Entry(f"{SHARE}/folder/file", b"in a folder\n"),
            link(f"{SHARE}/alias", "folder"),
            link(f"{SHARE}/outside", "/etc/os-release"),
            link(f"{SHARE}/outside-folder", "../../../../../../usr/share"),
            # What leads nowhere is no module, whatever it is called.
            link(f"{STDLIB}/site-packages/awkward_gone.py", "/nowhere/awkward_gone.py"),
        ],
        **{
            f"awkward-twice-{which}": [
                Entry(f"{SHARE}/twice", f"of {which}\n".encode()),
                Entry(f"{STDLIB}/site-packages/awkward_twice.py", f"OF = '{which}'\n".encode()),
            ]
            for which in ("a", "b")
        },
    }
    for name, entries in packages.items():
        # One that depends on the other, for a file of both: then it is known which of them comes later.
        depends = ["awkward-twice-a"] if name == "awkward-twice-b" else []
        archive.write(channel, name, entries, depends=depends)
    old = [Entry(f"{SHARE}/old-format", b"packed with bzip2\n"), hard_link(f"{SHARE}/old-again", f"{SHARE}/old-format")]
    archive.write(channel, "awkward-bz2", old, license=LICENSE, ending=".tar.bz2")
    modules = [
        Entry("site-packages/awkward_noarch/__init__.py", _MODULE.encode()),
        Entry("site-packages/awkward_noarch-1.0.dist-info/METADATA", b"Name: awkward-noarch\nVersion: 1.0\n"),
        Entry("site-packages/awkward_noarch-1.0.dist-info/RECORD", b"awkward_noarch/__init__.py,,\n"),
        Entry("python-scripts/awkward-script", f"#!{PREFIX}/bin/python\nprint('a script')\n".encode(), 0o755),
    ]
    points = ["awkward-hello = awkward_noarch:main"]
    archive.write(channel, "awkward-noarch", modules, depends=["python >=3.8"], entry_points=points)
    # Nobody means to bring a package `tests`, and many do.
    tests = {
        f"awkward-tests-{which}": [Entry("site-packages/tests/__init__.py", f"OF = '{which}'\n".encode())]
        for which in "abcd"
    }
    for name, entries in tests.items():
        archive.write(channel, name, entries, depends=["python >=3.8"], entry_points=[])
    archive.write(
        channel, "awkward-packages", [], depends=["awkward-bz2", "awkward-noarch", *packages, *tests], license=""
    )


def _variables() -> bytes:
    """What conda reads as variables; pixi 0.15 writes them into its script as they are, so that a shell reads a `$`."""
    said = {"AWKWARD_LINES": TWO_LINES, "AWKWARD_DOLLAR": f"$CONDA_PREFIX/{SHARE}", "AWKWARD_LAST": "last"}
    return json.dumps(said).encode()
