"""The page of error codes, written from the codes in ``pipeline/errors.py``."""

import textwrap
from typing import Final

from pipeline.errors import Code
from tests.documents.markdown import WIDTH

PAGE: Final = "docs/errors.md"
HEAD: Final = """\
# Error codes

Every error is one sentence: what happened, where, and what to do. At its end is a code in brackets, which stays the
same when the sentence is improved. This page is generated from `pipeline/errors.py` by `./dev docs`.
[When something fails](troubleshooting.md) is about failures of other programs.
"""


def errors() -> str:
    """The page, as Markdown."""
    return "\n".join([HEAD, *(_section(code) for code in sorted(Code, key=lambda each: each.code))])


def _section(code: Code) -> str:
    remedy = code.remedy.replace("docs/gpus.md", "[GPUs](gpus.md)").replace("docs/private.md", "[private](private.md)")
    text = textwrap.fill(
        f"{code.meaning} **What to do:** {remedy}", WIDTH, break_long_words=False, break_on_hyphens=False
    )
    return f"## {code.code}\n\n{text}\n"
