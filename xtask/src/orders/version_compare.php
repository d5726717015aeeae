<?php
// PHP's version_compare, after the leading `v` that Composer drops.
while (($line = fgets(STDIN)) !== false) {
    [$a, $b] = array_map(fn ($text) => preg_replace('/^v/i', '', $text), explode("\t", rtrim($line, "\n")));
    echo ['<', '=', '>'][version_compare($a, $b) + 1], "\n";
}
