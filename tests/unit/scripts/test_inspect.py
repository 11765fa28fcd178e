"""Private files and keys of an image, and those among them that packages brought."""

import subprocess
from pathlib import Path

import pytest

from pipeline.inspection import Facts, read_facts

SCRIPT = Path(__file__).parents[3] / "pipeline/scripts/inspect.sh"
PEM = "-----BEGIN {}-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END {}-----\n"


def inspect(root: Path, scratch: Path) -> Facts:
    """Run the script on a root file system, whose files belong to whoever runs the tests: to root in an image."""
    scratch.mkdir()
    owner = f" {root.owner()} {root.group()} "
    ended = subprocess.run(
        ["sh", str(SCRIPT), str(root), str(scratch), "-path", "/nowhere"], check=True, capture_output=True, text=True
    )
    return read_facts(ended.stdout.replace(str(root), "").replace(owner, " root root "))


def write(root: Path, name: str, text: str = "x", mode: int = 0o644) -> None:
    """Write a file of an image."""
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty root file system, whose path has a space."""
    root = tmp_path / "a root"
    root.mkdir()
    return root


KEYS = {
    "etc/ssh/ssh_host_rsa_key": PEM.replace("{}", "OPENSSH PRIVATE KEY"),
    "etc/grid-security/hostkey.pem": f"text before\n{PEM.replace('{}', 'PRIVATE KEY')}",
    "root/.globus/userkey.pem": PEM.replace("{}", "ENCRYPTED PRIVATE KEY"),
    "opt/tool/with certificate": PEM.replace("{}", "CERTIFICATE") + PEM.replace("{}", "RSA PRIVATE KEY"),
    "app/cosign.key": PEM.replace("{}", "ENCRYPTED SIGSTORE PRIVATE KEY"),
    "home/somebody/key.asc": PEM.replace("{}", "PGP PRIVATE KEY BLOCK"),
    "app/account.json": '{"private_key": "-----BEGIN PRIVATE KEY-----\\nMC4C"}',
    "etc/munge/munge.key": "bytes without a mark",
    "etc/krb5.keytab": "bytes without a mark",
    "root/.ssh/id_lab": "bytes without a mark",
    "etc/usercert.p12": "bytes without a mark",
}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_private_key_is_found(root: Path, tmp_path: Path, name: str, mode: int) -> None:
    """By its name or its text, wherever it is and whoever may read it."""
    write(root, name, KEYS[name], mode)
    assert inspect(root, tmp_path / "scratch").paths["key"] == {f"/{name}"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("root/.ssh/id_lab.pub", "ssh-ed25519 AAAA"),
        ("etc/ssl/certs/ca.pem", PEM.replace("{}", "CERTIFICATE")),
        ("opt/tool/keys.py", 'MARK = "-----BEGIN PRIVATE KEY-----"\n'),
        ("usr/local/lib/python3.12/site-packages/tornado/test/test.key", KEYS["etc/grid-security/hostkey.pem"]),
        ("usr/local/lib/python3.12/test/certdata/keycert.pem", KEYS["etc/grid-security/hostkey.pem"]),
        ("app/.pixi/envs/ml/share/key.pem", KEYS["etc/grid-security/hostkey.pem"]),
    ],
)
def test_what_is_public_is_no_private_key(root: Path, tmp_path: Path, name: str, text: str) -> None:
    """Public keys, certificates, programs that know the mark, and the keys of packages for their tests."""
    write(root, name, text)
    assert inspect(root, tmp_path / "scratch").paths["key"] == frozenset()


def test_what_looks_private_by_accident_is_found(root: Path, tmp_path: Path) -> None:
    """A file that ADD fetched, a folder of a strict umask; not configuration, and not what runs as its owner."""
    write(root, "usr/local/bin/fetched tool", mode=0o600)
    write(root, "opt/tool/text")
    (root / "opt/tool").chmod(0o700)
    write(root, "etc/sssd/sssd.conf", mode=0o600)
    write(root, "var/lib/service/state", mode=0o600)
    write(root, "usr/bin/sudo", mode=0o4711)
    found = inspect(root, tmp_path / "scratch").paths["closed"]
    assert found == {"/usr/local/bin/fetched tool", "/opt/tool"}


def test_modes_of_system_packages_are_no_accident(root: Path, tmp_path: Path) -> None:
    """A file of dpkg has the mode that its package gives, also by its path from before /usr was merged."""
    for name in ("usr/lib/cups/backend/lpd", "usr/lib/tool/key.pem", "usr/sbin/tool", "usr/sbin/other"):
        write(root, name, KEYS["etc/grid-security/hostkey.pem"] if name.endswith("pem") else "x", 0o700)
    packaged = "/.\n/usr/lib/cups/backend/lpd\n/lib/tool/key.pem\n/sbin/tool\n"
    write(root, "var/lib/dpkg/info/tool.list", packaged)
    facts = inspect(root, tmp_path / "scratch")
    assert facts.paths["closed"] == {"/usr/sbin/other"}
    assert facts.paths["key"] == frozenset()
