"""Documents that are attached to an image."""

import json
from collections.abc import Mapping
from unittest.mock import AsyncMock, Mock

import dagger
import pytest
from dagger import dag

from pipeline.attestations import attach
from pipeline.attestations.attach import names, sign_documents, signed_about_image, signed_sboms
from pipeline.attestations.signer import Signer, Signing
from pipeline.attestations.statements import SignedDocument
from pipeline.config.image_toml import ImageSpec, Platform
from pipeline.registry.artifact import Artifact
from pipeline.registry.attachment import Attachment
from tests.unit.conftest import CheckoutFolder

INDEX, AMD, ARM, SIF_INDEX, SIF_AMD, SIF_ARM = (f"sha256:{digit * 64}" for digit in "123456")


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


def test_a_sif_has_what_its_image_has() -> None:
    """Its documents follow those of the image, with names of their own."""
    image = names(["linux/amd64"], signed=True)
    both = names(["linux/amd64"], signed=True, sif=True)
    assert both == (*image, *(f"{name} of the SIF" for name in image))


@pytest.mark.asyncio
async def test_documents_of_a_sif_are_about_its_own_digest(
    checkout: CheckoutFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SBOMs are the very files of the image's; the provenance is another one, and names the image."""
    written = []

    def write_text(_name: str, contents: str) -> Mock:
        written.append(json.loads(contents))
        return Mock(spec=dagger.File)

    bill = Mock(spec=dagger.File)
    monkeypatch.setattr(attach, "describe", AsyncMock())
    monkeypatch.setattr(attach, "write", AsyncMock(return_value=bill))
    monkeypatch.setattr(attach, "made_from", AsyncMock(side_effect=lambda *_: []))
    monkeypatch.setattr(attach, "dag", Mock(file=write_text))
    sif = Artifact(Mock(), SIF_INDEX, (SIF_AMD, SIF_ARM))
    platforms: tuple[Platform, ...] = ("linux/amd64", "linux/arm64")
    source = checkout.source(ImageSpec(description="d", platforms=platforms))
    built: dict[Platform, Mock] = dict.fromkeys(platforms, Mock())
    found = await attach.attachments(source, built, Artifact(Mock(), INDEX, (AMD, ARM), sif=sif), "nobody")
    assert tuple(each.name for each in found) == names(platforms, signed=False, sif=True)
    assert [each.subject for each in found] == [
        *(AMD, AMD, ARM, ARM, INDEX),
        *(SIF_AMD, SIF_AMD, SIF_ARM, SIF_ARM, SIF_INDEX),
    ]
    assert [each.file is bill for each in found] == [*[True] * 4, False] * 2
    image, statement = written
    assert image["subject"] == [{"name": "small", "digest": {"sha256": "1" * 64}}]
    assert statement["subject"] == [{"name": "small.sif", "digest": {"sha256": "4" * 64}}]
    (material,) = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert material == {"name": "small", "digest": {"sha256": "1" * 64}}


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


@pytest.mark.asyncio
async def test_a_sif_is_signed_with_its_image(checkout: CheckoutFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """All statements in one step; each is about its own digest."""
    signed: dict[str, str] = {}

    async def sign(
        _settings: object, _signing: Signing, _signer: Signer, statements: Mapping[SignedDocument, dagger.File]
    ) -> dict[SignedDocument, dagger.File]:
        signed.update({document.name: document.subject for document in statements})
        assert len({document.file_name for document in statements}) == len(statements)
        return {document: Mock(spec=dagger.File) for document in statements}

    monkeypatch.setattr(attach, "sign", sign)
    monkeypatch.setattr(attach, "write_statement", Mock())
    monkeypatch.setattr(attach, "write_signature", Mock())
    every = names(["linux/amd64"], signed=False, sif=True)
    plain = [Attachment(name, "type", INDEX, Mock(spec=dagger.File)) for name in every]
    artifact = Artifact(Mock(), INDEX, (INDEX,), sif=Artifact(Mock(), SIF_INDEX, (SIF_INDEX,)))
    source = checkout.source(ImageSpec(description="d"))
    made = await sign_documents(source, Signing(), Signer(Mock(spec=dagger.File)), artifact, plain)
    assert (*every[:3], *(each.name for each in made[:4]), *every[3:], *(each.name for each in made[4:])) == names(
        ["linux/amd64"], signed=True, sif=True
    )
    assert signed == {each.name: SIF_INDEX if each.name.endswith(" of the SIF") else INDEX for each in made}
