"""Documents that are attached to an image."""

from pipeline.attestations.attach import names


def test_each_platform_has_bills_of_its_own() -> None:
    """An image for one platform has no platform in the names; one provenance covers all platforms."""
    assert names(["linux/amd64"], signed=False) == ("SBOM (CycloneDX)", "SBOM (SPDX)", "provenance")
    assert names(["linux/amd64", "linux/arm64"], signed=True) == (
        "SBOM (CycloneDX) of linux/amd64",
        "SBOM (SPDX) of linux/amd64",
        "SBOM (CycloneDX) of linux/arm64",
        "SBOM (SPDX) of linux/arm64",
        "provenance",
        "signature",
    )
