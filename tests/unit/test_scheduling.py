"""The order in which several processes get the files of tests."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest

ROOT = Path(__file__).parents[2]
FILES = (
    "tests/unit/test_scheduling.py",
    "tests/engine/alone/test_faults.py",
    "tests/engine/test_report.py",
    "tests/engine/test_manifests.py",
)


def order(took: dict[str, float]) -> list[str]:
    """The files in their order, with these seconds known from the last time."""
    items: list[Any] = [SimpleNamespace(path=ROOT / name, nodeid=f"{name}::test") for name in FILES]
    config: Any = SimpleNamespace(workerinput={"took": took})
    conftest.pytest_collection_modifyitems(config, items)
    return [item.nodeid.partition("::")[0] for item in items]


@pytest.mark.parametrize("took", [{}, {"tests/engine/test_report.py": 3.0, "tests/unit/test_scheduling.py": 1e6}])
def test_long_files_come_first_then_those_that_are_alone_then_unit_tests(took: dict[str, float]) -> None:
    """A larger file comes before a smaller one where nothing is known."""
    assert order(took) == [FILES[3], FILES[2], FILES[1], FILES[0]]


def test_what_a_file_took_counts_more_than_its_size() -> None:
    """A short file can take long."""
    assert order({"tests/engine/test_report.py": 1000.0})[0] == "tests/engine/test_report.py"
