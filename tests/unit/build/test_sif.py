"""The image without content, of which Apptainer is asked for its own files."""

import hashlib
import json

from pipeline.build.sif import NO_BYTES, NO_FILES, empty_image

CONFIG = {"Env": ["PATH=/bin", "WORD=ünï"], "Entrypoint": ["/app/entrypoint.sh"]}


def test_an_image_without_content_has_the_configuration() -> None:
    """Each document names the next by its digest and size, as Apptainer checks; the one layer is empty."""
    files = empty_image(CONFIG, "arm64")
    for path, text in files.items():
        if path.startswith("blobs/"):
            assert path == f"blobs/sha256/{hashlib.sha256(text.encode()).hexdigest()}"

    def read(descriptor: dict[str, object]) -> dict[str, object]:
        text = files[f"blobs/{str(descriptor['digest']).replace(':', '/')}"]
        assert descriptor["size"] == len(text.encode())
        document: dict[str, object] = json.loads(text)
        return document

    manifest = read(json.loads(files["index.json"])["manifests"][0])
    config = read(manifest["config"])  # type: ignore[arg-type]  # a descriptor
    assert (config["config"], config["architecture"]) == (CONFIG, "arm64")
    assert [layer["digest"] for layer in manifest["layers"]] == [NO_FILES]  # type: ignore[attr-defined]  # a list
    assert hashlib.sha256(bytes(NO_BYTES)).hexdigest() in NO_FILES
