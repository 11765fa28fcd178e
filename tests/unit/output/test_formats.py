from dagger.mod._utils import extract_enum_member_doc

from pipeline.output.formats import Format, ResultFormat, SbomFormat


def test_every_format_is_explained() -> None:
    """Each format has a line of its own in the help."""
    for formats in (Format, ResultFormat, SbomFormat):
        explained = extract_enum_member_doc(formats)
        assert all(explained[member.name].description for member in formats)


def test_results_come_in_every_format_that_reports_have() -> None:
    """Whoever knows the formats of one report knows those of all; results have JUnit's beside them."""
    common = {member.name: member.value for member in Format}
    assert {member.name: member.value for member in ResultFormat} == {**common, "JUNIT": "junit"}
