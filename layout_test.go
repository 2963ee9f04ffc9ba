package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gatecast/gatecast"

// allowed are the arrows of docs/architecture.md: who may import whom.
var allowed = map[string][]string{
	"config":     {},
	"ratelimit":  {},
	"static":     {},
	"client":     {},
	"auth":       {},
	"ws":         {"auth", "ratelimit"},
	"store":      {"auth", "ws"},
	"broker":     {"ws"},
	"middleware": {"auth", "ratelimit"},
	"handlers":   {"auth", "middleware", "ratelimit", "static", "client", "ws"},
}

// Imports go one way. A package inside a folder belongs to the folder.
func TestImportsGoOneWay(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		from := folder(pkg.ImportPath)
		if from == "" || from == "examples" || from == "bench" || from == "attack" {
			continue // the program, and what users would write, may use all; who attacks it uses nothing of it
		}
		seen++
		arrows, known := allowed[from]
		if !known {
			t.Errorf("folder %s is not in the layout", from)
		}
		for _, imported := range pkg.Imports {
			to := folder(imported)
			if strings.HasPrefix(imported, module) && to != from && !slices.Contains(arrows, to) {
				t.Errorf("%s imports %s", pkg.ImportPath, imported)
			}
		}
	}
	if seen < len(allowed) {
		t.Errorf("only %d packages were looked at", seen)
	}
}

func folder(importPath string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/"), "/")
	return name
}

// The docs name every frame type, error code, close code and route there is.
func TestDocsAreComplete(t *testing.T) {
	read := func(path string) string {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	protocol, asyncAPI := read("docs/protocol.md"), read("docs/asyncapi.yaml")
	find := func(pattern, path string) [][]string {
		matches := regexp.MustCompile(pattern).FindAllStringSubmatch(read(path), -1)
		if len(matches) < 5 {
			t.Errorf("%s finds %d names in %s: it has gone blind", pattern, len(matches), path)
		}
		return matches
	}
	for _, match := range find(`(?m)^\tType\w+ += "(\w+)"`, "ws/protocol.go") {
		if !strings.Contains(protocol, "`"+match[1]+"`") || !strings.Contains(asyncAPI, match[1]) {
			t.Errorf("frame type %s is not in docs/protocol.md and docs/asyncapi.yaml", match[1])
		}
	}
	for _, match := range find(`(?m)^\tCode\w+ += "(\w+)"`, "ws/errors.go") {
		if !strings.Contains(protocol, "`"+match[1]+"`") {
			t.Errorf("error code %s is not in docs/protocol.md", match[1])
		}
	}
	for _, match := range find(`(?m)^\tClose\w+ += (\d+)`, "ws/closecode.go") {
		if !strings.Contains(protocol, match[1]) {
			t.Errorf("close code %s is not in docs/protocol.md", match[1])
		}
	}
	problems := read("docs/errors.md")
	for _, match := range find(`http\.Status\w+(?:,|:) +"(\w+[a-z])"`, "handlers/problem.go") {
		if !strings.Contains(problems, "`"+match[1]+"`") {
			t.Errorf("problem %s is not in docs/errors.md", match[1])
		}
	}
	openAPI := read("docs/openapi.yaml")
	for _, match := range find(`app\.(Get|Post|Put|Delete)\("([^"]+)"`, "handlers/routes.go") {
		path := regexp.MustCompile(`:(\w+)`).ReplaceAllString(match[2], "{$1}")
		_, after, _ := strings.Cut(openAPI, "\n  "+path+":")
		operations, _, _ := strings.Cut(after, "\n  /")
		if !strings.Contains(operations, "\n    "+strings.ToLower(match[1])+":\n") {
			t.Errorf("%s %s is not in docs/openapi.yaml", match[1], match[2])
		}
	}
}
