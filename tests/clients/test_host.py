"""The host stays outside: its variables, its home, and names and addresses that a cluster does not have."""

import json
import tarfile
from typing import Any, Final

from pipeline.build.activation import HOST_VARIABLES
from tests.clients.home import write
from tests.clients.site import ANYBODY, LOCKED, Site
from tests.sandbox import sdk_content
from tests.sandbox.clients import HOME

#: The variables of a login at a site. All but the last name something that is no business of an image.
HOST: Final = {
    **dict.fromkeys(HOST_VARIABLES, "/site/software"),
    "LD_LIBRARY_PATH": "/site/software",
    "LANG": "de_DE.UTF-8",
    "LC_ALL": "en_US.UTF-8",
    "JUPYTER_DATA_DIR": "/site/software",
    "PYTHONPATH": f"{HOME}/modules",
    "OF_THE_SITE": "1",
}
#: Prints what a program of the image finds.
LOOK: Final = """
import getpass, json, locale, os, tempfile
import numpy
print(json.dumps({
    "variables": dict(os.environ),
    "numpy": numpy.__file__,
    "user": getpass.getuser(),
    "locale": locale.setlocale(locale.LC_ALL, "").partition(";")[0].removeprefix("LC_CTYPE="),
    "temporary": tempfile.gettempdir(),
}))
"""
#: The path of columnar's environment.
PREFIX: Final = "/app/.pixi/envs/ml"


def looked(site: Site, *words: str, **host: str) -> dict[str, Any]:
    """Run LOOK in an image, with variables of the host."""
    found: dict[str, Any] = json.loads(site.clients.run(*words, "python", "-c", LOOK, environment=host))
    return found


def test_variables_of_the_host_do_not_get_in(site: Site) -> None:
    """Modules, locales, software and settings are the image's, without any option, from a file and from a folder."""
    for folder in ("modules", ".local/lib/python3.12/site-packages"):
        write(site.clients.home / folder / "numpy.py", "raise SystemExit('the module of the host')")
    site.clients.run("install", "-d", "-m", "1777", "/site/scratch", user=0)
    for form in ("sif", "folder"):
        found = looked(site, *site.apptainer("columnar", form), **HOST, TMPDIR="/site/scratch")
        variables = found["variables"]
        left = {name for name, value in variables.items() if HOST.get(name) == value}
        assert left == {"OF_THE_SITE"}
        assert {*HOST_VARIABLES} & {*variables} <= {"CONDA_PREFIX", "CONDA_DEFAULT_ENV"}
        assert variables["CONDA_PREFIX"] == PREFIX
        assert variables["LD_LIBRARY_PATH"] == "/.singularity.d/libs"
        assert found["numpy"].startswith(PREFIX)
        assert (found["locale"], variables["LANG"], found["user"]) == ("C.UTF-8", "C.UTF-8", "user")
        assert found["temporary"] == "/tmp"  # noqa: S108
    cleaned = looked(site, *site.apptainer("columnar", "sif", "--cleanenv", "--containall"), **HOST)
    assert "OF_THE_SITE" not in cleaned["variables"]
    assert (cleaned["locale"], cleaned["user"]) == ("C.UTF-8", "user")


def test_what_a_person_sets_gets_in(site: Site) -> None:
    """`--env`, and variables for Apptainer, win over the image and the host, also where another program unpacked it."""
    reference = site.reference("columnar")
    plain = f"{HOME}/plain"
    unpack = 'mkdir "$2"; podman export "$(podman create "$1")" | tar --extract --directory "$2"'
    site.clients.run("sh", "-euc", unpack, "sh", reference, plain)
    options = ["--nv", "--env", "PYTHONPATH=/mine,JUPYTER_DATA_DIR=/mine,LC_ALL=C"]
    words = site.apptainer("columnar", "sif", *options)
    for image in (words[-1], plain):
        mine = {"APPTAINERENV_ROOTSYS": "/mine", "APPTAINERENV_PREPEND_PATH": "/mine"}
        variables = looked(site, *words[:-1], image, **HOST, **mine)["variables"]
        assert [variables[name] for name in ("PYTHONPATH", "JUPYTER_DATA_DIR", "ROOTSYS")] == ["/mine"] * 3
        assert variables["LC_ALL"] == "C"
        assert variables["PATH"].startswith(f"/mine:{PREFIX}/bin")
        assert variables["LD_LIBRARY_PATH"] == "/.singularity.d/libs"


def test_files_at_home_are_read(site: Site) -> None:
    """Programs read the host's files at home, except with the two options that leave home out."""
    write(site.clients.home / ".ipython/profile_default/startup/host.py", "print('from home')")
    command = ["ipython", "-c", "pass"]
    seen = [
        "from home" in site.clients.run(*site.apptainer("columnar", "sif", *options), *command, folder="/")
        for options in ([], ["--no-home"], ["--containall"])
    ]
    assert seen == [True, False, False]


def test_a_user_without_a_name(site: Site) -> None:
    """Podman names a user itself. Without that, as in Docker, Python needs LOGNAME, and whoami an entry."""
    script = "import getpass, os; print(getpass.getuser(), os.path.expanduser('~'))"
    anybody = [*LOCKED, f"--user={ANYBODY}:0"]
    named = site.podman("columnar", *anybody)
    assert site.clients.run(*named, "python", "-c", script).split()[0] == str(ANYBODY)
    refused = site.clients.attempt(*site.podman("columnar", *anybody, "--passwd=false"), "python", "-c", script)
    assert refused.returncode == 1
    assert f"uid not found: {ANYBODY}" in refused.stderr
    helped = site.podman("columnar", *anybody, "--passwd=false", "-e=LOGNAME=me", "-e=HOME=/workspace")
    ended = site.clients.attempt(*helped, "sh", "-c", 'python -c "$0"; whoami', script)
    assert ended.stdout == "me /workspace\n"
    assert "cannot find name" in ended.stderr
    passwd = write(site.clients.home / "passwd", f"me:x:{ANYBODY}:0::/:/bin/sh\n")
    mounted = site.podman("columnar", *anybody, "--passwd=false", f"-v={HOME}/{passwd.name}:/etc/passwd:ro")
    assert site.clients.run(*mounted, "whoami") == "me"


def test_a_user_whom_the_host_does_not_know(site: Site) -> None:
    """Apptainer names what is missing; it would start no image for that user."""
    ended = site.clients.attempt(*site.apptainer("columnar"), "true", user=ANYBODY, folder="/")
    assert ended.returncode != 0
    assert "Couldn't determine user account information" in ended.stderr


def test_git_in_a_folder_of_another_owner(site: Site) -> None:
    """git refuses to look into it, and three variables name the folder that may be looked into."""
    layer = sdk_content.root_layer(print)
    with tarfile.open(layer) as files:
        git = next(member for member in files if member.name.removeprefix("./") == "usr/bin/git")
        content = files.extractfile(git)
        assert content
        program = write(site.clients.home / "git")
        program.write_bytes(content.read())
    program.chmod(0o755)
    site.clients.run("sh", "-c", "mkdir repository && cd repository && git init", environment={"PATH": f"{HOME}:/bin"})
    mounts = [f"-v={HOME}/git:/usr/bin/git:ro", f"-v={HOME}/repository:/workspace", "-w=/workspace"]
    options = [*LOCKED, f"--user={ANYBODY}:0", *mounts]
    command = ["git", "rev-parse", "--show-toplevel"]
    refused = site.clients.attempt(*site.podman("columnar", *options), *command)
    assert refused.returncode == 128
    assert "dubious ownership" in refused.stderr
    allowed = ["GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=/workspace"]
    words = site.podman("columnar", *options, *(f"-e={variable}" for variable in allowed))
    assert site.clients.run(*words, *command) == "/workspace"


#: Starts a JupyterLab for each list of arguments, with or without variables, and asks each for its kernels by IPv6.
JUPYTER: Final = """
import http.client, json, os, pathlib, subprocess, sys, time

def ask(server, port):
    while server.poll() is None:
        connection = http.client.HTTPConnection("::1", port)
        try:
            connection.request("GET", "/api/kernelspecs", headers={"Authorization": "token probe"})
            return json.loads(connection.getresponse().read())
        except ConnectionRefusedError:
            time.sleep(0.5)
    raise SystemExit(pathlib.Path(f"/tmp/{port}.log").read_text())

started = []
for port, arguments, variables in json.loads(sys.argv[1]):
    given = os.environ | {"JUPYTER_TOKEN": "probe"} | variables
    merged = {name: value for name, value in given.items() if value is not None}
    with open(f"/tmp/{port}.log", "w") as log:
        started.append((port, subprocess.Popen(["start-jupyter", *arguments], stdout=log, stderr=log, env=merged)))
found = {}
for port, server in started:
    kernels = {name: kernel["spec"]["argv"][0] for name, kernel in ask(server, port)["kernelspecs"].items()}
    names = dict(line.split("=", 1) for line in open(f"/proc/{server.pid}/environ").read().split("\\0") if line)
    found[port] = {"kernels": kernels, "variables": names}
    server.kill()
print(json.dumps(found))
"""
#: Each JupyterLab of the test: its port, the arguments of `start-jupyter`, and variables; null is one that is not set.
STARTS: Final = [
    (8888, [], {"HOME": "/", "JUPYTER_PORT": "tcp://10.0.0.1:8888", "TMPDIR": "/site/scratch"}),
    (8890, ["8890"], {"HOME": None, "JUPYTER_PORT": "tcp://10.0.0.1:8888"}),
    (8891, [], {"HOME": "/site/home", "JUPYTER_PORT": "8891"}),
]
#: Variables that Kubernetes sets beside a Service named jupyter.
LINKS: Final = {
    "JUPYTER_SERVICE_HOST": "10.0.0.1",
    "JUPYTER_SERVICE_PORT": "8888",
    "JUPYTER_PORT": "tcp://10.0.0.1:8888",
    "JUPYTER_PORT_8888_TCP": "tcp://10.0.0.1:8888",
    "JUPYTER_PORT_8888_TCP_PROTO": "tcp",
    "JUPYTER_PORT_8888_TCP_PORT": "8888",
    "JUPYTER_PORT_8888_TCP_ADDR": "10.0.0.1",
}


def test_jupyterlab_in_a_pod(site: Site) -> None:
    """It starts beside a Service named jupyter, for a user with no name and no home, and listens on IPv6 too."""
    options = [*LOCKED, f"--user={ANYBODY}:0", "--passwd=false", *(f"-e={name}={LINKS[name]}" for name in LINKS)]
    words = site.podman("ml_platform", *options)
    found = json.loads(site.clients.run(*words, "python", "-c", JUPYTER, json.dumps(STARTS)))
    for port, _, _ in STARTS:
        assert "python3" in found[str(port)]["kernels"]
        variables = found[str(port)]["variables"]
        assert variables["LOGNAME"] == f"user-{ANYBODY}"
        assert variables["HOME"].startswith("/tmp/home-")  # noqa: S108
    bare = site.clients.attempt(*words, "jupyter", "lab", "--no-browser")
    assert bare.returncode != 0
    assert "invalid literal for int()" in bare.stderr


def test_kernels_of_the_host(site: Site) -> None:
    """A kernel at home does not take the place of the image's, and one of a folder that is named is there beside it."""
    for folder, name in ((".local/share/jupyter", "python3"), ("kernels", "mine")):
        kernel = {"argv": [f"/site/{name}", "{connection_file}"], "display_name": name, "language": "python"}
        write(site.clients.home / folder / "kernels" / name / "kernel.json", json.dumps(kernel))
    host = {"JUPYTER_PATH": f"{HOME}/nowhere", "TMPDIR": "/site/scratch"}
    words = site.apptainer("ml_platform", "sif", f"--env=JUPYTER_PATH={HOME}/kernels")
    output = site.clients.run(*words, "python", "-c", JUPYTER, json.dumps([(8895, ["8895"], {})]), environment=host)
    kernels = json.loads(output)["8895"]["kernels"]
    assert kernels["mine"] == "/site/mine"
    assert kernels["python3"].endswith("python")
