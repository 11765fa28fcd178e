"""Checks of ``./dev lint`` that no kept program makes by itself; each is a module to run."""
