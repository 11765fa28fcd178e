"""Wheels' metadata in conda's words."""

import pytest
from packaging.metadata import RawMetadata

from tests.sandbox.channel.names import conda_name, dependencies, entry_points


@pytest.mark.parametrize(
    ("wheel", "conda"),
    [("numpy", "numpy"), ("Jupyter-Client", "jupyter_client"), ("typing.extensions", "typing_extensions")],
)
def test_has_conda_forges_name(wheel: str, conda: str) -> None:
    """Names are normal ones, or those that conda-forge has instead."""
    assert conda_name(wheel) == conda


def test_takes_what_holds_on_linux() -> None:
    """Markers are those of Linux and Python 3.12, and extras that nobody asked for stay away."""
    metadata: RawMetadata = {
        "requires_dist": [
            "numpy<3,>=2",
            'colorama; sys_platform == "win32"',
            'tomli; python_version < "3.11"',
            'pexpect>4; sys_platform != "win32"',
            'nvidia-cublas-cu12; extra == "and-cuda"',
        ]
    }
    assert dependencies(metadata, {}) == ["numpy <3,>=2", "pexpect >4"]


def test_asks_for_what_a_wanted_extra_brings() -> None:
    """conda has no extras: what `bleach[css]` brings is asked for beside bleach."""
    bleach: RawMetadata = {"requires_dist": ["webencodings", 'tinycss2>=1.1; extra == "css"', 'x; extra == "y"']}
    wanted = dependencies({"requires_dist": ["bleach[css]!=5"]}, {"bleach": bleach})
    assert wanted == ["bleach !=5", "tinycss2 >=1.1"]


def test_joins_requirements_of_one_package() -> None:
    """A package that is named twice is asked for once, with all bounds."""
    assert dependencies({"requires_dist": ["h5py>=3", "h5py<4"]}, {}) == ["h5py <4,>=3"]


def test_reads_scripts() -> None:
    """Scripts, not plug-ins; without the extras they need."""
    text = "[console_scripts]\nrun = a.b:main [fast]\n# no\n\n[a.plugins]\nx = y:z\n[gui_scripts]\nsee=a:gui\n"
    assert entry_points(text) == ["run = a.b:main", "see = a:gui"]
