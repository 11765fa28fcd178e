"""Ask one repository of a registry about its tags, push an image to it, or move its tags; regctl does the protocol.

Usage: python -m pipeline.scripts.registry JOB. JOB is a JSON object with the keys of `Job`; the password, if there is
one, is in the variable REGISTRY_PASSWORD. Prints a JSON object with the keys of `Report`, also where something failed:
the exit code says only whether there is one.
"""

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypedDict

from pipeline.scripts.answers import Failure, Kind, without_secret
from pipeline.scripts.regctl import Answer, Client, Limits

#: Where an image is mounted, as an OCI layout.
LAYOUT: Final = "/layout"
#: The empty JSON object, which OCI has made a blob with a digest that everybody knows.
EMPTY: Final = b"{}"
EMPTY_DIGEST: Final = f"sha256:{hashlib.sha256(EMPTY).hexdigest()}"
#: A tag that lists what is attached to a digest, where the registry has no other way to tell it: no tag of an image.
FALLBACK: Final = r"sha256-[0-9a-f]{64}"


class Job(TypedDict):
    """What to do in a repository."""

    action: str
    """ask, push or move."""
    repository: str
    host: str
    username: str
    """Empty where nobody is logged in."""
    program: str
    timeout: float
    tries: int
    seconds: float
    digest: str
    """Of the image to push, or to move tags to."""
    tags: list[str]
    """Those to push or move; to ask, the immutable ones."""
    floating: list[str]
    """Those to tell about beside."""
    known: list[str]
    """All tags that the decision to move was made from."""
    writes: bool
    """To ask: whether to find out that one may push, where a tag is missing."""


class TagResult(TypedDict):
    """What came of one tag."""

    tag: str
    digest: str
    """As the registry has it now."""
    pushed: bool
    bytes: int
    seconds: float
    tries: int


class Failed(TypedDict):
    """What failed, and why."""

    doing: str
    tag: str
    kind: str
    reason: str
    tries: int
    seconds: float


class RepositoryReport(TypedDict):
    """What a job found and did."""

    tags: list[str]
    """All tags of the repository."""
    digests: dict[str, str]
    """Of the tags that were asked about and are there."""
    latest_made: str
    """When the image was made that the last floating tag is at, as its configuration says; empty where nobody knows."""
    rows: list[TagResult]
    changed: bool
    """Nothing was moved: the repository has other tags than those that the decision was made from."""
    failure: Failed | None


class Repository:
    """One repository, and what is found and done there."""

    def __init__(self, job: Job, client: Client) -> None:
        self.job = job
        self.client = client
        self.name = job["repository"]
        self.doing = ""
        self.tag = ""
        self.actions: dict[str, Callable[[], None]] = {"ask": self.ask, "push": self.push, "move": self.move}
        self.report = RepositoryReport(tags=[], digests={}, latest_made="", rows=[], changed=False, failure=None)

    def run(self, password: str) -> RepositoryReport:
        """Do the job; a failure ends it, and is part of the report."""
        started = time.monotonic()
        try:
            self.log_in(password)
            self.actions[self.job["action"]]()
        except Failure as failure:
            self.report["failure"] = Failed(
                doing=self.doing,
                tag=self.tag,
                kind=failure.kind,
                reason=without_secret(failure.reason, self.job["username"], password),
                tries=failure.tries,
                seconds=time.monotonic() - started,
            )
        return self.report

    def log_in(self, password: str) -> None:
        """Give regctl the credentials, and have the registry look at them when it is asked for the first time."""
        if not self.job["username"]:
            return
        self.doing = "logging in"
        unchecked = [] if self.job["action"] == "ask" else ["--skip-check"]
        login = ("registry", "login", self.job["host"], "--user", self.job["username"], "--pass-stdin", *unchecked)
        self.client.run(*login, given=password.encode())

    def ask(self) -> None:
        """Tell the tags, and where those of the job are; find out whether one may push what is missing."""
        try:
            self.look()
        except Failure as failure:
            # Some registries deny what they do not have: a repository that the first push makes.
            if failure.kind is not Kind.DENIED or not self.job["writes"]:
                raise
        if self.job["writes"] and not set(self.job["tags"]) <= self.report["digests"].keys():
            self.doing = "asking whether one may push"
            self.client.run("blob", "put", self.name, "--digest", EMPTY_DIGEST, given=EMPTY)

    def look(self) -> None:
        """Tell the tags, and where those of the job are."""
        self.tag = ""
        self.report["tags"] = self.list_tags()
        wanted = [*self.job["tags"], *self.job["floating"]]
        found = {tag: self.digest(tag) for tag in dict.fromkeys(wanted)}
        self.report["digests"] = {tag: digest for tag, digest in found.items() if digest}
        if self.job["floating"] and self.job["floating"][-1] in self.report["digests"]:
            self.report["latest_made"] = self.made(self.job["floating"][-1])

    def push(self) -> None:
        """Push the image under each tag that is missing, read all of them back, then look at the floating ones."""
        source = f"ocidir://{LAYOUT}@{self.job['digest']}"
        for tag in self.job["tags"]:
            self.put(tag, source)
            # The next tag is put beside what is there now.
            source = f"{self.name}@{self.job['digest']}"
        self.look()

    def move(self) -> None:
        """Move tags to an image that is there, unless tags have come that the decision did not know."""
        for tag in self.job["tags"]:
            found = self.list_tags()
            self.report["tags"] = found
            if not set(found) <= {*self.job["known"], *self.job["tags"]}:
                self.report["changed"] = True
                return
            self.put(tag, f"{self.name}@{self.job['digest']}", over=True)
        self.look()
        self.report["changed"] = not set(self.report["tags"]) <= {*self.job["known"], *self.job["tags"]}

    def put(self, tag: str, source: str, *, over: bool = False) -> None:
        """Put an image under a tag where it is not, and read it back."""
        self.tag = tag
        self.doing = f"reading {tag}"
        there = self.digest(tag)
        answer = Answer(b"", tries=0)
        if there and there != self.job["digest"] and not over:
            raise Failure(Kind.MISMATCH, f"{tag} is there already with {there}, and {self.job['digest']} was built")
        if there != self.job["digest"]:
            self.doing = f"pushing {tag}"
            answer = self.client.run("image", "copy", source, f"{self.name}:{tag}")
        self.doing = f"reading {tag} back"
        there = self.read_back(tag)
        if there != self.job["digest"]:
            raise Failure(Kind.MISMATCH, f"it gives {there} for {tag}, and {self.job['digest']} was built")
        row = TagResult(
            tag=tag,
            digest=there,
            pushed=answer.tries > 0,
            bytes=sum(_size(request.uploaded) for request in answer.requests),
            seconds=answer.seconds,
            tries=answer.tries,
        )
        self.report["rows"].append(row)

    def list_tags(self) -> list[str]:
        """All tags of images; none where there is no such repository yet."""
        self.doing = "reading the tags"
        try:
            found = self.client.run("tag", "ls", self.name).output.decode().split()
            return sorted(tag for tag in found if not re.fullmatch(FALLBACK, tag))
        except Failure as failure:
            if failure.kind is Kind.MISSING:
                return []
            raise

    def digest(self, tag: str) -> str:
        """The digest that the registry says a tag has; empty where there is no such tag."""
        try:
            return self.client.run("manifest", "head", f"{self.name}:{tag}").output.decode().strip()
        except Failure as failure:
            if failure.kind is Kind.MISSING:
                return ""
            raise

    def read_back(self, tag: str) -> str:
        """The digest of the very bytes that the registry gives for a tag."""
        body = self.client.run("manifest", "get", f"{self.name}:{tag}", "--format", "raw-body").output
        return f"sha256:{hashlib.sha256(body).hexdigest()}"

    def made(self, tag: str) -> str:
        """When the image under a tag was made, as its configuration says."""
        try:
            found = self.client.run("image", "inspect", f"{self.name}:{tag}", "--format", "{{json .}}").output
            return str(json.loads(found).get("created") or "")
        except (Failure, ValueError, AttributeError):
            return ""  # It only helps to decide; an image of somebody else need not say it.


def _size(digest: str) -> int:
    """The bytes of a blob of the mounted image; 0 where it is none."""
    blob = Path(LAYOUT, "blobs", *digest.split(":"))
    return blob.stat().st_size if digest and blob.is_file() else 0


def main(file: str, kind: type[Repository] = Repository) -> int:
    """Run as a command; see the module's docstring."""
    job: Job = json.loads(Path(file).read_text())
    limits = Limits(timeout=job["timeout"], tries=job["tries"], seconds=job["seconds"])
    repository = kind(job, Client(limits, program=job["program"], name=job["repository"]))
    print(json.dumps(repository.run(os.environ.get("REGISTRY_PASSWORD", ""))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
