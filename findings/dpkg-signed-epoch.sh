#!/usr/bin/env bash
# dpkg 1.21.22: its C and its Perl disagree on a signed epoch.
#
# Expected: `+1:2.0` refused, since an epoch is an unsigned integer of digits (Debian policy 5.6.12). Seen:
# `dpkg --compare-versions` and `--validate-version` take it for `1:2.0` (strtol reads the sign), while Dpkg::Version, which
# dpkg-source and dpkg-gencontrol use, refuses it.
#
# Prints both and fails when that changes. Needs dpkg and libdpkg-perl.
set -euo pipefail
c=refused; dpkg --validate-version +1:2.0 && dpkg --compare-versions +1:2.0 eq 1:2.0 && c="equal to 1:2.0"
perl=$(perl -MDpkg::Version -e 'my ($ok, $why) = version_check("+1:2.0"); print $ok ? "valid" : $why')
echo "dpkg:          $c"
echo "Dpkg::Version: $perl"
[ "$c" = "equal to 1:2.0" ] && [ "$perl" = "epoch part of the version number is not a number: '+1'" ]
