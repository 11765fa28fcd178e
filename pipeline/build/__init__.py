"""The stages of an image, from container to container."""
