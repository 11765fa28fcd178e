"""Git data of a checkout: its commit and history; and the filter for its upload to the engine."""
