"""The rows of composer/semver's own tests, read out of a checkout of it: nothing of them is kept here.

rows = rows_of(checkout)["VersionParserTest::stabilityProvider"]   # [["stable", "1"], ...]
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.rig.process import need

# Their providers give texts, and constraints that are put together by hand; PHPUnit is not needed to ask for them.
_SCRIPT = r"""
namespace PHPUnit\Framework { class TestCase {} }
namespace {
    use Composer\Semver\Constraint\Constraint;
    use Composer\Semver\Constraint\MatchAllConstraint;
    use Composer\Semver\Constraint\MatchNoneConstraint;
    use Composer\Semver\Constraint\MultiConstraint;
    error_reporting(0);
    $root = $argv[1];
    spl_autoload_register(function ($class) use ($root) {
        $file = $root . '/src/' . strtr(substr($class, strlen('Composer\\Semver\\')), '\\', '/') . '.php';
        if (is_file($file)) { require $file; }
    });
    function plain($value) {
        if (is_array($value)) { return array_map('plain', $value); }
        if ($value instanceof Constraint) { return ['bound' => (string) $value]; }
        if ($value instanceof MatchAllConstraint) { return ['all' => []]; }
        if ($value instanceof MatchNoneConstraint) { return ['any' => []]; }
        if ($value instanceof MultiConstraint) {
            return [$value->isConjunctive() ? 'all' : 'any' => array_map('plain', $value->getConstraints())];
        }
        return $value;
    }
    $rows = [];
    foreach (glob($root . '/tests/*Test.php') as $path) {
        require $path;
        $class = new \ReflectionClass('Composer\\Semver\\' . basename($path, '.php'));
        $tests = [];
        foreach ($class->getMethods() as $method) {
            preg_match_all('/@dataProvider\s+(\w+)/', (string) $method->getDocComment(), $found);
            $tests = array_merge($tests, $found[1]);
        }
        foreach (array_unique($tests) as $name) {
            $provider = $class->getMethod($name);
            $object = $provider->isStatic() ? null : $class->newInstanceWithoutConstructor();
            $said = array_map('plain', array_values([...$provider->invoke($object)]));
            $rows[$class->getShortName() . '::' . $name] = array_map('array_values', $said);
        }
    }
    echo json_encode($rows, JSON_INVALID_UTF8_SUBSTITUTE | JSON_THROW_ON_ERROR);
}
"""


def rows_of(checkout: Path) -> dict[str, list[list[Any]]]:
    """The rows by test class and provider; constraints that are objects as `{"bound": "> 1.0.0.0"}`, and several of
    them as `{"all": [...]}` or `{"any": [...]}`."""
    need("php")
    argv = ["php", "-r", _SCRIPT, "--", str(checkout)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr or done.stdout
    found: dict[str, list[list[Any]]] = json.loads(done.stdout)
    return found
