"""Published images as real Apptainer and Podman run them."""
