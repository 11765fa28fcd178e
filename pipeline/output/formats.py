"""Formats of reports, an option of every function that returns one.

Imports dagger because the enumerations are options of the CLI; it calls no engine.
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
