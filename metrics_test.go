package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"github.com/gatecast/gatecast/handlers"
	"github.com/gatecast/gatecast/ws"
)

var updateDocs = flag.Bool("update", false, "rewrite the generated table in docs/operations.md")

// everything is a meter that has something to show for each of its metrics.
func everything() *meter {
	m := newMeter()
	m.watch(func() snapshot { return snapshot{} })
	m.Answered(handlers.RouteHandshake, handlers.CodeOK)
	m.Answered(handlers.RouteLogin, handlers.CodeOK)
	return m
}

// The table in docs/operations.md is the registry's: go test . -run
// TestDocsMetricsAreGenerated -update writes it.
func TestDocsMetricsAreGenerated(t *testing.T) {
	const path, begin, end = "docs/operations.md", "<!-- begin metrics -->\n", "<!-- end metrics -->"
	families, err := everything().registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	table := "| metric | type | labels | meaning |\n|---|---|---|---|\n"
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), namespace) {
			continue // Go's and the process's, which others describe
		}
		var labels []string
		for _, label := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+label.GetName()+"`")
		}
		table += fmt.Sprintf("| `%s` | %s | %s | %s |\n", family.GetName(), strings.ToLower(family.GetType().String()), strings.Join(labels, ", "), family.GetHelp())
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(page), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatal("the page lacks the marks of the generated table")
	}
	want := head + begin + table + end + tail
	if *updateDocs {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(page) != want {
		t.Error("docs/operations.md is behind the code; run: go test . -run TestDocsMetricsAreGenerated -update")
	}
	for _, name := range regexp.MustCompile(namespace+`_\w+`).FindAllString(head+tail, -1) {
		bare := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if !strings.Contains(table, "`"+bare+"`") && !strings.Contains(table, "`"+name+"`") {
			t.Errorf("the page speaks of %s, which there is not", name)
		}
	}
}

// Names and help are as Prometheus wants them.
func TestMetricsAreWellNamed(t *testing.T) {
	families, err := everything().registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	ours := families[:0]
	for _, family := range families {
		if strings.HasPrefix(family.GetName(), namespace) {
			ours = append(ours, family)
		}
	}
	if problems, err := promlint.NewWithMetricFamilies(ours).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", err, problems)
	}
}

// Codes that are not ours share a series.
func TestMetricsOfUnknownCodes(t *testing.T) {
	m := newMeter()
	m.watch(func() snapshot {
		return snapshot{hub: ws.Stats{Refused: map[string]uint64{"own": 1, "hook": 2, ws.CodeBusy: 3}, Closed: map[int]uint64{3000: 4, 4999: 1, ws.CloseTooSlow: 6}}}
	})
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if strings.HasPrefix(family.GetName(), namespace) && len(metric.GetLabel()) == 1 && metric.GetCounter().GetValue() > 0 {
				got[family.GetName()+" "+metric.GetLabel()[0].GetValue()] = metric.GetCounter().GetValue()
			}
		}
	}
	want := map[string]float64{"gatecast_refused_frames_total other": 3, "gatecast_refused_frames_total busy": 3, "gatecast_closed_connections_total other": 5, "gatecast_closed_connections_total 4408": 6}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What a scrape costs the server, with all that there is to show.
func BenchmarkScrape(b *testing.B) {
	m := everything()
	for b.Loop() {
		families, err := m.registry.Gather()
		if err != nil {
			b.Fatal(err)
		}
		var text strings.Builder
		encoder := expfmt.NewEncoder(&text, expfmt.FmtText)
		for _, family := range families {
			if err := encoder.Encode(family); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// What it costs to tell the meter of a message, a batch and a request, from all
// cores at once.
func BenchmarkObserve(b *testing.B) {
	m := everything()
	for name, tell := range map[string]func(){
		"published": func() { m.Published(300 * time.Microsecond) },
		"committed": func() { m.Committed(17, 300*time.Microsecond) },
		"answered":  func() { m.Answered(handlers.RouteLogin, handlers.CodeOK) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					tell()
				}
			})
		})
	}
}
