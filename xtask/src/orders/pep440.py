# packaging: up to 21.3 with LegacyVersion, in later releases without.
import sys

from packaging.version import parse


def answer(line):
    a, b = line.rstrip("\n").split("\t")
    try:
        a, b = parse(a), parse(b)
    except ValueError:
        return "?"
    return "<" if a < b else ">" if a > b else "="


import warnings

warnings.simplefilter("ignore")
sys.stdout.writelines(answer(line) + "\n" for line in sys.stdin)
