"""Jupyter as the platform starts it; what a site sets in its own configuration comes after this and wins."""

c = get_config()  # noqa: F821  # Jupyter puts it there

# Containers are reached through a proxy or a forwarded port, never through a browser of their own. "*" is every
# address, of IPv4 and of IPv6: 0.0.0.0 would be the former alone.
c.ServerApp.ip = "*"
c.ServerApp.open_browser = False

# Notebooks belong to the folder that people mount.
c.ServerApp.root_dir = "/workspace"

# Deleting must not need a trash folder in a home that may be read-only.
c.FileContentsManager.delete_to_trash = False
