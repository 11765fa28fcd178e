import json

from pipeline.build.pixi_image import editable


def origin(url: str, **info: object) -> str:
    """A direct_url.json, by which an installer says where a package is from."""
    return json.dumps({"url": url, **info})


def test_packages_that_are_used_from_their_folders_are_found() -> None:
    """By the installer's own record; not what was built from a folder, and not what is outside of /app."""
    origins = [
        origin("file:///app/libs/my%20own", dir_info={"editable": True}),
        origin("file:///app", dir_info={"editable": True}),
        origin("file:///app/built", dir_info={}),
        origin("file:///elsewhere", dir_info={"editable": True}),
        origin("https://host/a.whl", archive_info={}),
        origin("https://host/a", vcs_info={"vcs": "git"}),
    ]
    assert editable(origins) == {"libs/my own", "."}
