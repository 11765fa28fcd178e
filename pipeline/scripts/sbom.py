"""Write the SBOM of an image, and validate it with the schema of its format.

Usage: python -m pipeline.scripts.sbom FORMAT SBOM OUTPUT. FORMAT is cyclonedx or spdx; SBOM is a file with `Sbom` in
JSON. The same SBOM gives the same bytes. For an invalid document, prints the reasons and exits with 1.
"""

import io
import json
import re
import sys
import uuid
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from packageurl import PackageURL

from pipeline.scripts.messages import Component, Sbom

#: Creator of the document.
TOOL: Final = "maniac-pipeline"


def package_url(component: Component) -> str:
    """Return the package URL of a component."""
    return PackageURL(
        component.type, component.namespace or None, component.name, component.version, dict(component.qualifiers)
    ).to_string()


def identity(content: Sbom) -> uuid.UUID:
    """Return an id that is the same for the same SBOM, and different for any other."""
    return uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(asdict(content), sort_keys=True))


def cyclonedx(content: Sbom) -> tuple[str, list[str]]:
    """Return a CycloneDX 1.6 document, and its errors by the schema."""
    from cyclonedx.contrib.license.factories import LicenseFactory  # noqa: PLC0415  # one format is asked for
    from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri  # noqa: PLC0415
    from cyclonedx.model.bom import Bom  # noqa: PLC0415
    from cyclonedx.model.component import Component as Entry  # noqa: PLC0415
    from cyclonedx.model.component import ComponentType  # noqa: PLC0415
    from cyclonedx.model.tool import Tool  # noqa: PLC0415
    from cyclonedx.output.json import JsonV1Dot6  # noqa: PLC0415
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    # Each licence is looked up once: the look-up takes longer than all else, and packages share licences.
    texts = {component.license for component in content.components} - {None, ""}
    licenses = {text: LicenseFactory().make_from_string(text) for text in texts if text}

    def entry(component: Component) -> Entry:
        hashes = {HashAlgorithm.SHA_256: component.sha256, HashAlgorithm.MD5: component.md5}
        url, text = component.url, component.license
        return Entry(
            name=component.name,
            version=component.version,
            type=ComponentType.LIBRARY,
            bom_ref=package_url(component),
            purl=PackageURL.from_string(package_url(component)),
            hashes=[HashType(alg=kind, content=value) for kind, value in hashes.items() if value],
            licenses=[licenses[text]] if text else [],
            external_references=[ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(url))]
            if url
            else [],
        )

    image = Entry(name=content.name, version=content.version, type=ComponentType.CONTAINER, bom_ref="image")
    bom = Bom(serial_number=identity(content), components=map(entry, content.components))
    bom.metadata.timestamp = datetime.fromtimestamp(content.time, UTC)
    bom.metadata.component = image
    bom.metadata.tools.tools.add(Tool(name=TOOL))
    bom.register_dependency(image, bom.components)
    text = JsonV1Dot6(bom).output_as_string(indent=2) + "\n"
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return text, [str(error)] if error else []


def spdx(content: Sbom) -> tuple[str, list[str]]:
    """Return an SPDX 2.3 document, and its errors by the rules of the format."""
    from license_expression import get_spdx_licensing  # noqa: PLC0415
    from spdx_tools.spdx.model import (  # noqa: PLC0415
        Actor,
        ActorType,
        Checksum,
        ChecksumAlgorithm,
        CreationInfo,
        Document,
        ExternalPackageRef,
        ExternalPackageRefCategory,
        ExtractedLicensingInfo,
        Package,
        PackagePurpose,
        Relationship,
        RelationshipType,
        SpdxNoAssertion,
    )
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document  # noqa: PLC0415
    from spdx_tools.spdx.validation.uri_validators import validate_download_location  # noqa: PLC0415
    from spdx_tools.spdx.writer.json.json_writer import write_document_to_stream  # noqa: PLC0415

    licensing = get_spdx_licensing()
    own: dict[str, ExtractedLicensingInfo] = {}

    # Each licence is looked up once: the look-up takes longer than all else, and packages share licences.
    @cache
    def license_of(text: str | None) -> Any:  # noqa: ANN401  # of a library without types
        if not text:
            return SpdxNoAssertion()
        known = _spdx_id(text)
        if known is None:
            known = f"LicenseRef-{_word(text.removeprefix('LicenseRef-'))}"
            # Two texts may give the same name.
            known += f"-{len(own)}" if known in own else ""
            own[known] = ExtractedLicensingInfo(known, extracted_text=text, license_name=text)
        return licensing.parse(known)

    def package(number: int, component: Component) -> Package:
        sums = {ChecksumAlgorithm.SHA256: component.sha256, ChecksumAlgorithm.MD5: component.md5}
        url = component.url
        # SPDX does not accept some addresses, such as a host without a dot.
        location = url if url and not validate_download_location(url) else SpdxNoAssertion()
        return Package(
            spdx_id=f"SPDXRef-{number}-{_word(component.name)}",
            name=component.name,
            version=component.version,
            download_location=location,
            files_analyzed=False,
            license_concluded=SpdxNoAssertion(),
            license_declared=license_of(component.license),
            copyright_text=SpdxNoAssertion(),
            checksums=[Checksum(kind, value) for kind, value in sums.items() if value],
            external_references=[
                ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", package_url(component))
            ],
        )

    image = Package(
        spdx_id="SPDXRef-image",
        name=content.name,
        version=content.version or None,
        download_location=SpdxNoAssertion(),
        files_analyzed=False,
        primary_package_purpose=PackagePurpose.CONTAINER,
    )
    packages = [package(number, component) for number, component in enumerate(content.components, 1)]
    document = Document(
        CreationInfo(
            spdx_version="SPDX-2.3",
            spdx_id="SPDXRef-DOCUMENT",
            name=content.name,
            document_namespace=f"urn:uuid:{identity(content)}",
            creators=[Actor(ActorType.TOOL, TOOL)],
            created=datetime.fromtimestamp(content.time, UTC).replace(tzinfo=None),
        ),
        packages=[image, *packages],
        relationships=[
            Relationship("SPDXRef-DOCUMENT", RelationshipType.DESCRIBES, image.spdx_id),
            *(Relationship(image.spdx_id, RelationshipType.CONTAINS, package.spdx_id) for package in packages),
        ],
        extracted_licensing_info=list(own.values()),
    )
    stream = io.StringIO()
    write_document_to_stream(document, stream, validate=False)
    return stream.getvalue() + "\n", [error.validation_message for error in validate_full_spdx_document(document)]


def _spdx_id(text: str) -> str | None:
    """Return a licence as SPDX writes it; None if SPDX does not list it."""
    from cyclonedx.spdx import fixup_id, is_expression  # noqa: PLC0415

    return fixup_id(text) or (text if is_expression(text) else None)


def _word(text: str) -> str:
    """Return a text in the characters that SPDX allows in a name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-") or "none"


FORMATS: Final[dict[str, Callable[[Sbom], tuple[str, list[str]]]]] = {"cyclonedx": cyclonedx, "spdx": spdx}


def main(form: str, file: str, output: str) -> int:
    """Run as a command; see the module's docstring."""
    values = json.loads(Path(file).read_text(encoding="utf-8"))
    components = [Component(**component) for component in values["components"]]
    text, problems = FORMATS[form](Sbom(**{**values, "components": components}))
    if problems:
        print("; ".join(problems[:3]))
        return 1
    Path(output).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
