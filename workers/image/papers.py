"""What is told of an image beside it: what it consists of (CycloneDX 1.6), and how it came to be (SLSA provenance 1).

Both say the same for the same image, whenever they are made, and neither is signed: whoever can push to the repository
could have written them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component as Row
from cyclonedx.model.component import ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from watcher.image import Digest
from workers.image.base import Base
from workers.image.component import Component
from workers.image.notes import Facts
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


@dataclass(frozen=True, slots=True)
class _Package:
    """A package of an image, and what is known of it."""

    component: Component
    purl: PackageURL
    facts: Facts

    @property
    def hashes(self) -> dict[str, str]:
        return {"sha256": self.facts.sha256} if self.facts.sha256 else {}


def papers(
    recipe: Recipe, base: Base, components: Sequence[Component], facts: Mapping[str, Facts], subject: Subject
) -> tuple[Artifact, ...]:
    """The artifacts that go beside an image; `facts` by the keys of components."""
    packages = [_Package(one, purl, facts.get(one.key, Facts(0))) for one in components if (purl := _purl(one))]
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


def _bom(recipe: Recipe, base: Base, packages: Sequence[_Package], subject: Subject) -> bytes:
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
    rows = [_row(one, subject) for one in packages]
    if base.digest:
        hashes = [_hash(base.digest)]
        rows.append(
            Row(type=ComponentType.CONTAINER, name=base.name, version=base.digest, bom_ref="base", hashes=hashes)
        )
    bom.components.update(rows)
    bom.register_dependency(image, rows)
    return JsonV1Dot6(bom).output_as_string().encode()


def _row(one: _Package, subject: Subject) -> Row:
    terms = one.facts.license
    return Row(
        type=ComponentType.LIBRARY,
        name=one.purl.name,
        group=one.purl.namespace,
        version=one.component.version,
        bom_ref=one.component.name,
        purl=one.purl,
        # Of the file that it came in, and not of what became of that: others have that one, too.
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digits) for digits in one.hashes.values()],
        licenses=[LicenseFactory().make_from_string(terms)] if terms else [],
        properties=[Property(name="io.toplayer.layer", value=subject.layers[one.component.name])],
    )


def _hash(digest: Digest) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest.hex)


def _used(one: _Package) -> Mapping[str, object]:
    return {"uri": str(one.purl), **({"digest": one.hashes} if one.hashes else {})}


def _statement(recipe: Recipe, base: Base, packages: Sequence[_Package], subject: Subject) -> Mapping[str, object]:
    """An in-toto statement (https://in-toto.io/Statement/v1) about the image."""
    commit = {"uri": f"git+{recipe.source}", "digest": {"gitCommit": recipe.commit}}
    used: list[Mapping[str, object]] = [commit, *map(_used, packages)]
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
