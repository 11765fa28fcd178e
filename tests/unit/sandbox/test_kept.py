"""Files kept from one start to the next: trusted after an orderly end, thrown away after any other."""

import time
from pathlib import Path

import pytest

from tests.sandbox import kept
from tests.sandbox.state import State


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path / "s")
    state.create()
    return state


def run_engine(state: State) -> None:
    """Leave the files of a start that has not ended."""
    kept.unseal(state)
    (state.engine / "worker.db").write_text("…")


def test_a_first_start_has_nothing_to_mistrust(state: State) -> None:
    """There is nothing, so nothing is thrown away."""
    assert not kept.holds_anything(state)
    assert kept.is_trusted(state)


def test_what_an_orderly_end_leaves_is_trusted(state: State) -> None:
    """The engine ended before its machine."""
    run_engine(state)
    kept.seal(state)
    assert kept.holds_anything(state)
    assert kept.is_trusted(state)


def test_what_no_end_leaves_is_not_trusted(state: State) -> None:
    """The note of an earlier end does not count for a later start."""
    kept.seal(state)
    run_engine(state)
    assert not kept.is_trusted(state)


def test_what_is_discarded_is_gone_at_once_and_deleted_soon(state: State) -> None:
    """Empty folders are left, and later no garbage, also of a discarding or a step that was killed."""
    run_engine(state)
    (state.folder / f"{kept.DISCARDED}.1" / "engine").mkdir(parents=True)
    (state.folder / f"{kept.TEMPORARY}-abc").mkdir()
    before = {path.name for path in state.folder.iterdir() if "." not in path.name and "-" not in path.name}
    kept.discard(state, state.engine, state.registry)
    assert not kept.holds_anything(state)
    assert kept.is_trusted(state)
    kept.sweep(state)
    while {path.name for path in state.folder.iterdir()} != before:
        time.sleep(0.01)


def test_a_folder_is_removed_beside_what_goes_on(state: State) -> None:
    """It is gone from its place at once, and deleted soon; nothing is put in its place."""
    folder = state.folder / "clients"
    (folder / "home").mkdir(parents=True)
    before = {path.name for path in state.folder.iterdir()}
    kept.remove(state, folder)
    assert not folder.exists()
    kept.remove(state, folder)
    while {path.name for path in state.folder.iterdir()} != before - {"clients"}:
        time.sleep(0.01)
