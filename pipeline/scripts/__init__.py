"""Scripts that run inside containers of the build, with the Python there and nothing of the pipeline."""
