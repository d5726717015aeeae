// Module versions: golang.org/x/mod/semver.
package main

import (
	"bufio"
	"os"
	"strings"

	"golang.org/x/mod/semver"
)

func main() {
	in, out := bufio.NewScanner(os.Stdin), bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		a, b, _ := strings.Cut(in.Text(), "\t")
		if !semver.IsValid(a) || !semver.IsValid(b) {
			out.WriteString("?\n")
			continue
		}
		out.WriteString([]string{"<\n", "=\n", ">\n"}[semver.Compare(a, b)+1])
	}
}
