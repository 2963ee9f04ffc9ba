// Command gotest reads what `go test -json` writes, prints what `go test` would
// have written, and says at the end which tests were skipped, and why.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// event is a line of `go test -json` (see `go doc test2json`).
type event struct {
	Action, Package, Test, Output string
}

// place is a test, or a package where test is empty.
type place struct{ pkg, test string }

type report struct {
	output  map[place][]string // lines, until it is known whether they matter
	skipped []string
}

func main() {
	r := report{output: make(map[place][]string)}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Println(lines.Text()) // what is not of a test, such as a mistake in go.mod
			continue
		}
		r.take(e)
	}
	for _, skipped := range r.skipped {
		fmt.Println("SKIPPED:", skipped)
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
}

func (r *report) take(e event) {
	at := place{e.Package, e.Test}
	lines := r.output[at]
	switch {
	case e.Action == "build-output":
		fmt.Print(e.Output)
		return
	case e.Action == "output":
		if !strings.HasPrefix(e.Output, "=== ") && e.Output != "PASS\n" {
			r.output[at] = append(lines, e.Output)
		}
		return
	case e.Action == "fail" && e.Test == "":
		r.printUnended(e.Package)
		fmt.Print(strings.Join(lines, ""))
	case e.Action == "fail":
		fmt.Print(strings.Join(lines, ""))
	case e.Action == "skip" && e.Test != "":
		r.skipped = append(r.skipped, e.Test+why(lines))
	case (e.Action == "pass" || e.Action == "skip") && e.Test == "" && len(lines) > 0:
		fmt.Print(lines[len(lines)-1]) // ok, or that there are no tests
	case e.Action != "pass":
		return
	}
	delete(r.output, at)
}

// printUnended prints the output of tests that did not come to an end.
func (r *report) printUnended(pkg string) {
	for at, lines := range r.output {
		if at.pkg == pkg && at.test != "" {
			fmt.Print(strings.Join(lines, ""))
			delete(r.output, at)
		}
	}
}

// why is what a test that was skipped said.
func why(lines []string) string {
	var said []string
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--- ") {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		return ""
	}
	return ": " + strings.Join(said, " ")
}
