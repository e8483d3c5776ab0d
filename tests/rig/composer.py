"""Composer itself: what its own classes make of versions and constraints, asked one question after the other.

with OwnClasses() as composer:
    composer.ask("normalize", "1.0")   # "1.0.0.0"
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.rig.lock_tools import CACHE
from tests.rig.process import lack, need

_SCRIPT = r"""
error_reporting(0);
$own = '/usr/share/php/Composer/autoload.php';
require is_file($own) ? $own : 'phar://' . realpath($argv[1]) . '/vendor/autoload.php';
use Composer\Package\Loader\ArrayLoader;
use Composer\Package\Loader\RootPackageLoader;
use Composer\Package\Package;
use Composer\Package\Version\VersionBumper;
use Composer\Package\Version\VersionParser;
use Composer\Semver\Intervals;
use Composer\Semver\Semver;
$parser = new VersionParser();
$questions = [
    'normalize' => fn($version) => $parser->normalize($version),
    'branch' => fn($name) => $parser->normalizeBranch($name),
    'stability' => fn($version) => VersionParser::parseStability($version),
    'cover' => function ($constraint) use ($parser) {
        $cover = Intervals::get($parser->parseConstraints($constraint));
        $names = array_values($cover['branches']['names']);
        sort($names);
        $intervals = array_map(fn($one) => [(string) $one->getStart(), (string) $one->getEnd()], $cover['numeric']);
        return [array_values($intervals), $names, $cover['branches']['exclude']];
    },
    'satisfies' => fn($version, $constraint) => Semver::satisfies($version, $constraint),
    'sort' => fn(...$versions) => Semver::sort($versions),
    'version_compare' => fn($a, $b) => version_compare($a, $b),
    'subset' => fn($a, $b) => Intervals::isSubsetOf($parser->parseConstraints($a), $parser->parseConstraints($b)),
    'flag' => fn($constraint, $minimum) =>
        RootPackageLoader::extractStabilityFlags(['a/b' => $constraint], $minimum, [])['a/b'] ?? null,
    'bump' => fn($constraint, $version) => (new VersionBumper())->bumpRequirement(
        $parser->parseConstraints($constraint), new Package('a/b', $parser->normalize($version), $version)
    ),
    'hash' => fn($json) => \Composer\Package\Locker::getContentHash($json),
];
while (($line = fgets(STDIN)) !== false) {
    [$name, $args] = json_decode($line, true);
    try {
        $said = ['said' => $questions[$name](...$args)];
    } catch (\Throwable $error) {
        $said = ['refused' => get_class($error) . ': ' . $error->getMessage()];
    }
    echo json_encode($said, JSON_INVALID_UTF8_SUBSTITUTE), "\n";
}
"""


def newer_composer() -> Path:
    """The directory that has a Composer with `--minimal-changes` (2.7), to be put on PATH: the next Debian's, if need.

    Without one, the test is skipped.
    """
    need("php", "composer")
    said = subprocess.run(["composer", "--version"], capture_output=True, text=True).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    if found and tuple(map(int, found.groups())) >= (2, 7):
        return Path(str(shutil.which("composer"))).parent
    place = CACHE / "composer-newer"
    argv = ["sh", str(Path(__file__).with_name("newer_composer.sh")), str(place)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        lack(f"Composer 2.7 or newer, from Debian's next release: {done.stderr.strip()[-300:]}")
    return place / "usr" / "bin"


class Refused(Exception):
    """Composer threw something."""


class OwnClasses:
    """A PHP process with Composer's classes in it, as a context manager. Without Composer, the test is skipped."""

    def __enter__(self) -> Self:
        need("php", "composer")
        argv = ["php", "-r", _SCRIPT, "--", str(shutil.which("composer"))]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate()

    def ask(self, question: str, *args: Any) -> Any:
        """What Composer says. Raises `Refused` with what it throws."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([question, args]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer["said"]
