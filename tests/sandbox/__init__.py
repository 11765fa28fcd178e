"""One machine that plays the internet: a real Dagger engine, registries and a conda channel, for the tests."""
