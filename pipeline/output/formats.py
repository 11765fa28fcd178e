"""The formats that reports come in: an option of every function that returns one.

dagger makes the enumerations options of the CLI; no engine is asked.
"""

import enum

import dagger


@dagger.enum_type
class Format(enum.Enum):
    """How a report is written"""

    TABLE = "table"
    """Lines and columns, for a terminal or a log"""

    JSON = "json"
    """One document, for programs"""

    MARKDOWN = "markdown"
    """A table for a pull request or for the summary of a GitHub Actions job"""


@dagger.enum_type
class ResultFormat(enum.Enum):
    """How the results of probes are written"""

    TABLE = "table"
    """Lines and columns, then what failed probes printed"""

    JSON = "json"
    """One document, for programs"""

    MARKDOWN = "markdown"
    """A table for a pull request or for the summary of a GitHub Actions job"""

    JUNIT = "junit"
    """JUnit's XML, which CI systems read"""


@dagger.enum_type
class SbomFormat(enum.Enum):
    """How the bill of materials of an image is written"""

    CYCLONEDX = "cyclonedx"
    """CycloneDX 1.6, in JSON"""

    SPDX = "spdx"
    """SPDX 2.3, in JSON"""
