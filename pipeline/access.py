"""Who may read and change the files of an image, whatever packages and Dockerfiles made of them."""

from typing import Final

import dagger

#: Below $1, every user reads each file and enters each folder, nobody but its owner writes a file, and where many may
#: write to a folder nobody removes what is another's. What a Debian system keeps to itself stays so. Only what is not
#: so already is touched: a touched file is written to the layer again.
_OPEN: Final = r"""
find "$1" -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /root -o -path '/etc/*shadow*' \
    -o -path '/etc/*-' -o -path '/etc/.*' -o -path /etc/security -o -path /etc/ssl/private -o -path /var/cache \
    -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/log -o -path /var/spool \) -prune \
  -o -type f \( ! -perm -444 -o -perm -002 -o -perm /111 ! -perm -111 \) -exec chmod a+rX,o-w {} + \
  -o -type d -perm -002 ! -perm -1000 -exec chmod a+rX,+t {} + \
  -o -type d ! -perm -555 -exec chmod a+rX {} +
"""


def with_access(container: dagger.Container, path: str = "/") -> dagger.Container:
    """Let every user read and run what is below a path, and nobody change what others run.

    Args:
        container: its user is root; it has a shell, find and chmod.
        path: of the folder.
    """
    return container.with_exec(["sh", "-euc", _OPEN, "sh", path])
