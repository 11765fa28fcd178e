"""Start and end of the machine as a whole, and the state that it starts with."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.sandbox import cache, configuration, kept, machine, proxies, services
from tests.sandbox.errors import ServiceError
from tests.sandbox.machine import Machine
from tests.sandbox.parts import Parts
from tests.sandbox.progress import Progress

#: Our files that a running machine was started from: with other ones it is started again.
SOURCES: Final = (
    "boot.sh",
    "certificates.py",
    "configuration.py",
    "hosts.py",
    "machine.py",
    "processes.py",
    "services.py",
)


def start(there: Machine, made: Parts, progress: Progress) -> None:
    """Start what is down; with nothing kept, where what is kept cannot be trusted.

    Raises:
        SandboxError: something does not start; names its log.
    """
    state, say = there.state, progress.say
    with progress.step("sandbox"):
        _stop_outdated(there, made, say)
        if there.process is None and not kept.is_trusted(state):
            say("sandbox: it was cut off in the middle of its work; starting it with an empty engine and registries …")
            kept.discard(state, state.engine, state.registry)
        had_something = kept.holds_anything(state)
        try:
            _start_missing(there, made, say)
        except ServiceError as error:
            if error.service != services.ENGINE or not had_something:
                raise
            reason = str(error).partition(": see ")[0]
            say(f"sandbox: {reason}, with what it had kept; starting it with an empty engine …")
            end(there)
            kept.discard(state, state.engine)
            _start_missing(there, made, say)
        kept.sweep(state)
        proxies.remove_forgotten(there)


def _stop_outdated(there: Machine, made: Parts, say: Callable[[str], None]) -> None:
    """Stop a machine that was started from other parts, or that has lost its engine."""
    if there.process is None:
        return
    record = there.state.run / "inputs"
    outdated = not record.exists() or record.read_text(errors="replace") != _fingerprint(made)
    # What an engine leaves behind (mounts, a name server, containers) goes only with the machine.
    if outdated or services.describe(there.state)[-1].process(there.state) is None:
        say(f"sandbox: {'its parts changed' if outdated else 'its engine is gone'}; starting it again …")
        end(there)


def _start_missing(there: Machine, made: Parts, say: Callable[[str], None]) -> None:
    """Start what is down: the machine, its network, its services, or all of them.

    Raises:
        ServiceError: a service does not start.
        SandboxError: the machine or its network does not.
    """
    state = there.state
    repairing = there.process is not None
    if not repairing:
        say("sandbox: starting the machine and its services …")
        there.halt()
        state.put_logs_aside()
        configuration.write(state)
        machine.write_config(state)
        there.boot(made)
        (state.run / "inputs").write_text(_fingerprint(made))
    if there.network is None:
        if repairing:
            say("sandbox: its network is down; connecting it again …")
        there.connect()
    starting = [service for service in services.describe(state, made) if not service.is_healthy(there)]
    for service in starting:
        if repairing:
            say(f"sandbox: {service.name} is down; starting it again …")
        service.stop(state, force=True)
        if service.name == services.ENGINE:
            kept.unseal(state)
        service.start(there)
    for service in starting:
        service.wait(there)


def _fingerprint(made: Parts) -> str:
    sources = [Path(__file__).with_name(name) for name in SOURCES]
    return cache.digest(*sources, *made.identities(), machine.host_bundle())


def end(there: Machine) -> None:
    """End everything, the engine first, and note whether it ended before its machine."""
    engine, *others = reversed(services.describe(there.state))
    for service in (engine, *others):
        service.stop(there.state)
    process = there.process
    # One that was killed takes a while to be gone, and its engine is gone before.
    if process is not None and not process.is_dying and engine.process(there.state) is None:
        kept.seal(there.state)
    there.halt()
