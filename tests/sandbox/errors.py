"""Errors of the sandbox that a person can do something about."""


class SandboxError(Exception):
    """One sentence: what happened, where, and what to do next. Shown without a traceback."""


class TookTooLongError(SandboxError):
    """A command inside the machine was stopped, since it did not end."""


class ServiceError(SandboxError):
    """A service of the machine did not start.

    Args:
        service: its name.
        message: the sentence.
    """

    def __init__(self, service: str, message: str) -> None:
        super().__init__(message)
        self.service = service
