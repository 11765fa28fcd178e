"""Documents that are attached to an image."""

from pipeline.attestations.attach import names, signed_about_image, signed_sboms

INDEX, AMD, ARM = (f"sha256:{digit * 64}" for digit in "123")


def test_each_platform_has_bills_of_its_own() -> None:
    """An image for one platform has no platform in the names; one provenance covers all platforms."""
    assert names(["linux/amd64"], signed=False) == ("SBOM (CycloneDX)", "SBOM (SPDX)", "provenance")
    plain = (
        "SBOM (CycloneDX) of linux/amd64",
        "SBOM (SPDX) of linux/amd64",
        "SBOM (CycloneDX) of linux/arm64",
        "SBOM (SPDX) of linux/arm64",
        "provenance",
    )
    signed = names(["linux/amd64", "linux/arm64"], signed=True)
    assert signed == (*plain, *(f"signed {name}" for name in plain), "signature")


def test_every_document_of_a_signed_image_is_signed() -> None:
    """Under the types that cosign has for them, about the same digests as the plain ones."""
    image, sboms = signed_about_image(INDEX), signed_sboms(["linux/amd64", "linux/arm64"], [AMD, ARM])
    assert [(each.predicate_type, each.subject) for each in (*image, *sboms)] == [
        ("https://sigstore.dev/cosign/sign/v1", INDEX),
        ("https://slsa.dev/provenance/v1", INDEX),
        ("https://cyclonedx.org/bom", AMD),
        ("https://spdx.dev/Document", AMD),
        ("https://cyclonedx.org/bom", ARM),
        ("https://spdx.dev/Document", ARM),
    ]
    assert {each.name for each in (*image, *sboms)} == set(names(["linux/amd64", "linux/arm64"], signed=True)[5:])
