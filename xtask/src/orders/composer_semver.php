<?php
// composer/semver: versions in its normal form, then version_compare (Comparator, VersionParser).
require "$argv[1]/autoload.php";

use Composer\Semver\Comparator;
use Composer\Semver\VersionParser;

$parser = new VersionParser();
while (($line = fgets(STDIN)) !== false) {
    try {
        [$a, $b] = array_map([$parser, 'normalize'], explode("\t", rtrim($line, "\n")));
        echo Comparator::lessThan($a, $b) ? '<' : (Comparator::greaterThan($a, $b) ? '>' : '='), "\n";
    } catch (UnexpectedValueException) {
        echo "?\n";
    }
}
