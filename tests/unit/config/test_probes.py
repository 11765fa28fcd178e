import tomllib
from textwrap import dedent

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.config.probes import CommandProbe, Probes
from pipeline.config.validation import explain


class Spec(BaseModel):
    """As much of an image.toml as has probes."""

    model_config = ConfigDict(extra="forbid")

    probes: Probes = Probes()


def read(text: str) -> Probes:
    """The probes of an image.toml."""
    return Spec.model_validate(tomllib.loads(dedent(text))).probes


def refusal(text: str) -> str:
    """The error message for an image.toml."""
    with pytest.raises(ValidationError) as raised:
        read(text)
    return explain(raised.value, Spec)


def test_python_is_probed_where_nothing_is_said() -> None:
    """An image without a word about probes has its Python started."""
    probes = read("")
    assert (probes.scripts, probes.imports, probes.timeout) == (("python",), (), None)
    assert (probes.commands, probes.files, probes.servers) == ((), (), ())


def test_each_kind_has_defaults() -> None:
    """The required keys of a probe are enough."""
    probes = read(
        """
        [probes]
        scripts = []
        imports = ["numpy", "jupyter_server.services.api"]
        [[probes.commands]]
        command = ["git", "--version"]
        [[probes.files]]
        path = "/etc/passwd"
        [[probes.servers]]
        command = ["serve", "it"]
        port = 80
        """
    )
    (command,), (file,), (server,) = probes.commands, probes.files, probes.servers
    assert (command.title, command.exit_code, command.entrypoint, command.user) == ("git --version", 0, True, None)
    assert (file.title, file.kind, file.mode) == ("/etc/passwd", "file", None)
    assert (server.title, server.path, server.status, server.timeout) == ("serve it", "/", 200, None)


def test_a_probe_can_have_a_name() -> None:
    """A name takes the place of a command in reports."""
    assert CommandProbe(command=("sh", "-c", "…"), name="shell").title == "shell"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scripts = ['roott']", "key 'probes.scripts.0': Input should be 'python', 'root' or 'tensorflow'"),
        ("script = ['root']", "unknown key 'probes.script'; did you mean 'scripts'?"),
        (
            "imports = ['scikit-learn']",
            "key 'probes.imports.0': 'scikit-learn' is not the name of a module; "
            "write what stands after 'import', such as 'sklearn' for scikit-learn",
        ),
        ("timeout = 0", "key 'probes.timeout': Input should be greater than 0"),
        ("timeout = '9'", "key 'probes.timeout': Input should be a valid integer"),
        ("timeout = true", "key 'probes.timeout': Input should be a valid integer"),
        (
            "scripts = []",
            "key 'probes': nothing is probed; name a script, an import, a command, a file or a server",
        ),
        ("imports = ['a', 'a']", "key 'probes': 'a' stands twice among 'imports'; leave one of them out"),
        (
            "commands = [{command = ['a']}, {command = ['a'], user = '1'}]",
            "key 'probes': 'a' stands twice among 'commands'; give each a 'name' of its own",
        ),
        (
            "commands = [{command = 'git --version'}]",
            "key 'probes.commands.0.command': no shell splits a command here; "
            'write a list of its words: ["git", "--version"]',
        ),
        (
            "commands = [{command = []}]",
            "key 'probes.commands.0.command': an empty list starts nothing; write the words of a command",
        ),
        ("commands = [{}]", "key 'probes.commands.0.command' is missing; add it"),
        ("commands = [{command = ['a'], exit_code = 256}]", "key 'probes.commands.0.exit_code': Input should be less"),
        (
            "commands = [{command = ['a'], exitcode = 1}]",
            "unknown key 'probes.commands.0.exitcode'; did you mean 'exit",
        ),
        (
            "commands = [{command = ['a'], stdout_matches = '('}]",
            "key 'probes.commands.0.stdout_matches': '(' is not a regular expression (missing ), unterm",
        ),
        ("commands = [{command = ['a'], user = 'a b'}]", "key 'probes.commands.0.user': 'a b' is not a user; write"),
        ("files = [{path = 'etc'}]", "key 'probes.files.0.path': 'etc' is not an absolute path; start it with '/'"),
        ("files = [{path = '/a/../b'}]", "key 'probes.files.0.path': '/a/../b' is not an absolute path"),
        ("files = [{path = '/a', mode = 'rw'}]", "key 'probes.files.0.mode': 'rw' is not a file mode; write octal"),
        ("files = [{path = '/a', mode = 644}]", "key 'probes.files.0.mode': Input should be a valid string"),
        ("files = [{path = '/a', kind = 'pipe'}]", "key 'probes.files.0.kind': Input should be 'file' or 'folder'"),
        (
            "files = [{path = '/a', kind = 'folder', matches = 'x'}]",
            "key 'probes.files.0': '/a' is a folder, which has no text; leave 'matches' out",
        ),
        ("servers = [{command = ['a']}]", "key 'probes.servers.0.port' is missing; add it"),
        ("servers = [{command = ['a'], port = 70000}]", "key 'probes.servers.0.port': Input should be less than or"),
        (
            "servers = [{command = ['a'], port = 80, path = 'api'}]",
            "key 'probes.servers.0.path': 'api' is not a path of a request",
        ),
        (
            "servers = [{command = ['a'], port = 80, status = 20}]",
            "key 'probes.servers.0.status': Input should be grea",
        ),
    ],
)
def test_what_cannot_be_is_refused(text: str, message: str) -> None:
    """A wrong table is refused in one sentence with the key."""
    sentence = refusal(f"[probes]\n{text}")
    assert sentence.startswith(message)
    assert "\n" not in sentence
