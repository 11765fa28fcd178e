"""Documents that are attached to an image."""

from collections.abc import Mapping
from unittest.mock import Mock

import dagger
import pytest
from dagger import dag

from pipeline.attestations import attach
from pipeline.attestations.attach import names, sign_documents, signed_about_image, signed_sboms
from pipeline.attestations.signer import Signer, Signing
from pipeline.attestations.statements import SignedDocument
from pipeline.config.image_toml import ImageSpec
from pipeline.registry.artifact import Artifact
from pipeline.registry.attachment import Attachment
from tests.unit.conftest import CheckoutFolder

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


@pytest.mark.asyncio
async def test_a_statement_decides_whether_a_document_is_signed_already(
    checkout: CheckoutFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provenance is one itself; any signature of the image is as good, such as one that cosign made alone."""
    files = {name: Mock(spec=dagger.File) for name in names(["linux/amd64"], signed=False)}
    plain = [Attachment(name, "type", INDEX, file) for name, file in files.items()]

    async def sign(
        _settings: object, _signing: Signing, _signer: Signer, statements: Mapping[SignedDocument, dagger.File]
    ) -> dict[SignedDocument, dagger.File]:
        return {document: Mock(spec=dagger.File) for document in reversed([*statements])}

    def write(document: SignedDocument, _image: str, predicate: dagger.File, _base: str) -> tuple[str, dagger.File]:
        return document.name, predicate

    monkeypatch.setattr(attach, "sign", sign)
    monkeypatch.setattr(attach, "write_statement", write)
    monkeypatch.setattr(attach, "write_signature", Mock())
    source = checkout.source(ImageSpec(description="d"))
    signer = Signer(Mock(spec=dagger.File))
    made = await sign_documents(source, Signing(), signer, Artifact(dag.directory(), INDEX, (INDEX,)), plain)
    assert [(each.name, each.payload) for each in made] == [
        ("signed SBOM (CycloneDX)", ("signed SBOM (CycloneDX)", files["SBOM (CycloneDX)"])),
        ("signed SBOM (SPDX)", ("signed SBOM (SPDX)", files["SBOM (SPDX)"])),
        ("signed provenance", files["provenance"]),
        ("signature", None),
    ]
