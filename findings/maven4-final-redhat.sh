#!/usr/bin/env bash
# maven-artifact 4.0.0-rc-6: a rebuild of a Final release is older than the Alpha of that release.
#
# Expected, as in 3.9.16: 4.0.17.Alpha1 < 4.0.17.Final < 4.0.17.Final-redhat-1. Seen: 4.0.17.Final-redhat-1 is older than
# 4.0.17.Alpha1, 4.0.17.CR1 and 4.0.17.Final, though 4.0.17.Final equals 4.0.17 and 4.0.17-redhat-1 is newer than it. So
# a range `[4.0.17.Final,)` leaves the vendor's rebuilds out, and `(,4.0.17.Alpha1)` takes them in.
#
# Prints both and fails when that changes. Needs mvn and java 17.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
cat > Order.java <<'JAVA'
import org.apache.maven.artifact.versioning.ComparableVersion;

class Order {
    public static void main(String[] args) {
        StringBuilder line = new StringBuilder();
        for (int i = 0; i < args.length; i += 2) {
            int order = new ComparableVersion(args[i]).compareTo(new ComparableVersion(args[i + 1]));
            line.append(i > 0 ? ", " : "").append(args[i]).append(order < 0 ? " < " : order > 0 ? " > " : " = ");
            line.append(args[i + 1]);
        }
        System.out.println(line);
    }
}
JAVA
seen() {
    mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -DoutputDirectory="$work/$1" \
        -Dartifact="org.apache.maven:maven-artifact:$1" >/dev/null
    java -cp "$work/$1/*" Order.java 4.0.17.Final-redhat-1 4.0.17.Alpha1 4.0.17.Final-redhat-1 4.0.17.Final \
        4.0.17.Final 4.0.17 4.0.17-redhat-1 4.0.17
}
old=$(seen 3.9.16) new=$(seen 4.0.0-rc-6)
echo "3.9.16:     $old"
echo "4.0.0-rc-6: $new"
rest="4.0.17.Final = 4.0.17, 4.0.17-redhat-1 > 4.0.17"
[ "$old" = "4.0.17.Final-redhat-1 > 4.0.17.Alpha1, 4.0.17.Final-redhat-1 > 4.0.17.Final, $rest" ]
[ "$new" = "4.0.17.Final-redhat-1 < 4.0.17.Alpha1, 4.0.17.Final-redhat-1 < 4.0.17.Final, $rest" ]
