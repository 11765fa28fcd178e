"""Remedies for what only the owner of a repository can change."""

import pytest

from pipeline.publishing.remedies import describe_private, remedy
from pipeline.scripts.messages import Kind, RegistryFailure
from tests.unit.refusals import require_facts

HARBOR = "PRECONDITION: Failed to process request due to 'ml-platform:latest' configured as immutable."
HUB = "DENIED: requested access to the resource is denied - This tag is already assigned to an image"
ECR = "TAG_INVALID: The image tag 'latest' already exists and cannot be overwritten because the tag is immutable."


def failure(reason: str, kind: Kind = Kind.IMMUTABLE, doing: str = "pushing latest") -> RegistryFailure:
    """A failure to move latest."""
    return RegistryFailure(doing, doing.partition(" ")[2], kind, reason, tries=1, seconds=0)


@pytest.mark.parametrize(
    ("repository", "reason", "facts"),
    [
        (
            "hub.opensciencegrid.org/usatlas/ml-platform",
            HARBOR,
            ["on Harbor, Projects > usatlas > Policy > Tag Immutability"],
        ),
        ("docker.io/ivukotic/ml_platform", HUB, ["on hub.docker.com", "ivukotic/ml_platform > Settings", "mutability"]),
        ("1.dkr.ecr.eu-west-1.amazonaws.com/small", ECR, ["in the settings of its registry"]),
    ],
)
def test_a_rule_about_tags_is_named_with_its_place(repository: str, reason: str, facts: list[str]) -> None:
    """The rule, the tag, and where the setting is."""
    text = remedy(repository, failure(reason))
    require_facts(text, f"a tag immutability rule of {repository} holds latest: exclude latest", *facts)


def test_a_list_of_attachments_is_a_tag_too() -> None:
    """A registry without the referrers API has the list under a tag that changes."""
    text = remedy("docker.io/lab/small", failure(HUB, doing="attaching provenance"))
    require_facts(text, "exclude sha256-… and all other floating tags")


@pytest.mark.parametrize("found", [None, failure("DENIED: no", Kind.DENIED), failure("503", Kind.TRANSIENT)])
def test_other_failures_need_no_more_than_another_run(found: RegistryFailure | None) -> None:
    """Or their own sentence says what to do."""
    assert remedy("docker.io/lab/small", found) == ""


@pytest.mark.parametrize(
    ("repository", "facts"),
    [
        ("ghcr.io/maniaclab/ml-platform", ["a new package is private", "Package settings", "Change visibility"]),
        ("docker.io/ivukotic/ml_platform", ["hub.docker.com", "ivukotic/ml_platform > Settings", "Visibility"]),
        ("hub.opensciencegrid.org/usatlas/ml-platform", ["on Harbor, Projects > usatlas > Configuration > Public"]),
    ],
)
def test_a_private_repository_is_named_with_the_place_of_its_switch(repository: str, facts: list[str]) -> None:
    """It may be meant so, and then the note says what it means."""
    note = describe_private(repository, "it answered 401")
    require_facts(note, f"{repository} is private: nobody can pull it without a login (it answered 401)", *facts)
