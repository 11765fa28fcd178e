"""A stand-in for graphviz, which conda-forge builds from C: as awkward to install, and it draws no graph.

As the real one, `dot` knows no format until its list of formats is there, and makes that where it is called with `-c`;
the package's post-link script does so.
"""

from pathlib import Path
from typing import Final

from tests.sandbox.channel import package

#: Where the list is.
FORMATS: Final = "lib/graphviz/config6"
_DOT: Final = f"""\
#!/bin/sh
# A stand-in: it draws the names of a graph's nodes, in a column.
formats=$(dirname -- "$(readlink -f -- "$0")")/../{FORMATS}
case $1 in
  -c) printf 'svg\\n' > "$formats" ;;
  -T*)
    if ! grep -qsx -e "${{1#-T}}" "$formats"; then
      echo "Format: \\"${{1#-T}}\\" not recognized. No formats found." >&2
      echo 'Perhaps "dot -c" needs to be run (with installer privileges) to register the plugins?' >&2
      exit 1
    fi
    echo '<svg xmlns="http://www.w3.org/2000/svg">'
    tr -c '[:alnum:]' '\\n' | grep . | sed 1d | sort -u | sed 's|.*|<text>&</text>|'
    echo '</svg>' ;;
esac
"""
_POST_LINK: Final = """\
#!/bin/bash
"$PREFIX/bin/dot" -c
"""


def make(channel: Path) -> None:
    """Write `graphviz` into a channel."""
    files = {"bin/dot": _DOT, "bin/.graphviz-post-link.sh": _POST_LINK, "lib/graphviz/README": "Plugins are here.\n"}
    about = package.About("EPL-1.0", "Stand-in for graphviz", "https://www.graphviz.org/")
    package.write(channel, "graphviz", "14.1.2", "h0000000_0", files, about=about)
