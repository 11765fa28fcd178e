"""Build stages of an image, as steps from container to container."""
