"""The formats that reports come in: an option of every function that returns one.

dagger makes the enumerations options of the CLI; no engine is asked.
"""

import enum

import dagger


@dagger.enum_type
class Format(enum.Enum):
    """Format of a report"""

    TABLE = "table"
    """A table, for a terminal or a log"""

    JSON = "json"
    """One document, for programs"""

    MARKDOWN = "markdown"
    """A table for a pull request or for the summary of a GitHub Actions job"""


@dagger.enum_type
class ResultFormat(enum.Enum):
    """Format of the results of probes"""

    TABLE = "table"
    """A table, then the output of failed probes"""

    JSON = "json"
    """One document, for programs"""

    MARKDOWN = "markdown"
    """A table for a pull request or for the summary of a GitHub Actions job"""

    JUNIT = "junit"
    """JUnit's XML, which CI systems read"""


@dagger.enum_type
class SbomFormat(enum.Enum):
    """Format of an SBOM"""

    CYCLONEDX = "cyclonedx"
    """CycloneDX 1.6, in JSON"""

    SPDX = "spdx"
    """SPDX 2.3, in JSON"""
