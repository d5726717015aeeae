# The functions of rpm's and pacman's libraries that compare `[epoch:]version[-release]`.
import sys
from ctypes import CDLL, c_char_p, c_int, c_void_p

library = CDLL(sys.argv[1])


def pacman(a, b):
    return library.alpm_pkg_vercmp(a, b)


def rpm(a, b):
    a, b = library.rpmverParse(a), library.rpmverParse(b)
    if not a or not b:
        return None
    order = library.rpmverCmp(a, b)
    library.rpmverFree(a)
    library.rpmverFree(b)
    return order


if hasattr(library, "rpmverParse"):
    compare = rpm
    library.rpmverParse.argtypes, library.rpmverParse.restype = [c_char_p], c_void_p
    library.rpmverCmp.argtypes, library.rpmverCmp.restype = [c_void_p, c_void_p], c_int
    library.rpmverFree.argtypes, library.rpmverFree.restype = [c_void_p], c_void_p
else:
    compare = pacman
    library.alpm_pkg_vercmp.argtypes, library.alpm_pkg_vercmp.restype = [c_char_p, c_char_p], c_int

for line in sys.stdin.buffer:
    order = compare(*line.rstrip(b"\n").split(b"\t"))
    print("?" if order is None else "<" if order < 0 else ">" if order > 0 else "=")
