// Releases of the toolchain: the standard library's go/version.
package main

import (
	"bufio"
	"go/version"
	"os"
	"strings"
)

func main() {
	in, out := bufio.NewScanner(os.Stdin), bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		a, b, _ := strings.Cut(in.Text(), "\t")
		if !version.IsValid(a) || !version.IsValid(b) {
			out.WriteString("?\n")
			continue
		}
		out.WriteString([]string{"<\n", "=\n", ">\n"}[version.Compare(a, b)+1])
	}
}
