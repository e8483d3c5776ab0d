"""What is told of an image beside it: what it consists of (CycloneDX 1.6), and how it came to be (SLSA provenance 1).

Both say the same for the same image, whenever they are made, and neither is signed: whoever can push to the repository
could have written them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component as Row
from cyclonedx.model.component import ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from watcher.image import Digest
from workers.image.base import Base
from workers.image.component import Component
from workers.image.recipe import Recipe
from workers.oci.manifest import canonical
from workers.oci.referrers import Artifact

BOM, STATEMENT = "application/vnd.cyclonedx+json", "application/vnd.in-toto+json"
PROVENANCE = "https://slsa.dev/provenance/v1"
_BUILDER = "urn:toplayer:layers"
_PURL = {"pypi": "pypi", "packagist": "composer"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is told of: an image in a repository, and the digests of the layers that its components lie in, by name."""

    repository: str
    digest: Digest
    layers: Mapping[str, Digest]


def papers(recipe: Recipe, base: Base, components: Sequence[Component], subject: Subject) -> tuple[Artifact, ...]:
    """The artifacts that go beside an image."""
    packages = [(one, purl) for one in components if (purl := _purl(one))]
    bom = _bom(recipe, base, packages, subject)
    statement = canonical(_statement(recipe, base, packages, subject))
    predicate = {"in-toto.io/predicate-type": PROVENANCE}
    return Artifact(kind=BOM, content=bom), Artifact(kind=STATEMENT, content=statement, annotations=predicate)


def _purl(component: Component) -> PackageURL | None:
    """The package URL (https://github.com/package-url/purl-spec) of a component, if it is a package."""
    ecosystem, _, name = component.name.partition(":")
    if ecosystem not in _PURL:
        return None
    namespace, _, name = name.rpartition("/")
    return PackageURL(_PURL[ecosystem], namespace or None, name, component.version)


def _bom(recipe: Recipe, base: Base, packages: Sequence[tuple[Component, PackageURL]], subject: Subject) -> bytes:
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"{subject.repository}@{subject.digest}"))
    bom.metadata.timestamp = recipe.committed_at
    image = Row(
        type=ComponentType.CONTAINER,
        name=subject.repository,
        version=subject.digest,
        bom_ref=subject.digest,
        hashes=[_hash(subject.digest)],
    )
    bom.metadata.component = image
    rows = [
        Row(
            type=ComponentType.LIBRARY,
            name=purl.name,
            group=purl.namespace,
            version=component.version,
            bom_ref=component.name,
            purl=purl,
            properties=[Property(name="io.toplayer.layer", value=subject.layers[component.name])],
        )
        for component, purl in packages
    ]
    if base.digest:
        hashes = [_hash(base.digest)]
        rows.append(
            Row(type=ComponentType.CONTAINER, name=base.name, version=base.digest, bom_ref="base", hashes=hashes)
        )
    bom.components.update(rows)
    bom.register_dependency(image, rows)
    return JsonV1Dot6(bom).output_as_string().encode()


def _hash(digest: Digest) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest.hex)


def _statement(
    recipe: Recipe, base: Base, packages: Sequence[tuple[Component, PackageURL]], subject: Subject
) -> Mapping[str, object]:
    """An in-toto statement (https://in-toto.io/Statement/v1) about the image."""
    commit = {"uri": f"git+{recipe.source}", "digest": {"gitCommit": recipe.commit}}
    used: list[Mapping[str, object]] = [commit, *({"uri": str(purl)} for _, purl in packages)]
    if base.digest:
        used.append({"uri": base.name, "digest": {"sha256": base.digest.hex}})
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": subject.repository, "digest": {"sha256": subject.digest.hex}}],
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": f"{_BUILDER}:v1",
                "externalParameters": {"source": commit["uri"], "commit": recipe.commit, "locks": recipe.every_lock},
                "internalParameters": {"platform": recipe.image.platform, "python": recipe.image.python},
                "resolvedDependencies": used,
            },
            "runDetails": {
                "builder": {"id": _BUILDER, "version": {"toplayer": version("toplayer")}},
                "metadata": {"invocationId": recipe.commit},
            },
        },
    }
