package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// metric is one figure of a row.
type metric struct {
	key    string // in JSON
	title  string // in the table
	digits int    // behind the point
	value  float64
}

func (m metric) String() string { return strconv.FormatFloat(m.value, 'f', m.digits, 64) }

// inWords is metrics in one line.
func inWords(metrics []metric) string {
	words := make([]string, len(metrics))
	for i, m := range metrics {
		words[i] = m.title + " " + m.String()
	}
	return strings.Join(words, ", ")
}

// row names what was measured.
type row struct {
	scenario, driver string
	clients          int
}

// report is all that was measured, in the order in which it first was.
type report struct {
	order  []row
	rounds map[row][][]metric
}

func (r *report) add(of row, metrics []metric) {
	if r.rounds == nil {
		r.rounds = make(map[row][][]metric)
	}
	if r.rounds[of] == nil {
		r.order = append(r.order, of)
	}
	r.rounds[of] = append(r.rounds[of], metrics)
}

// medians are a row's metrics over its rounds.
func (r *report) medians(of row) []metric {
	rounds := r.rounds[of]
	medians := slices.Clone(rounds[0])
	for i := range medians {
		values := make([]float64, len(rounds))
		for j, metrics := range rounds {
			values[j] = metrics[i].value
		}
		slices.Sort(values)
		medians[i].value = (values[(len(values)-1)/2] + values[len(values)/2]) / 2
	}
	return medians
}

func (r *report) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return r.writeJSON(w)
	}
	return r.writeTable(w)
}

func (r *report) writeJSON(w io.Writer) error {
	list := []map[string]any{}
	for _, of := range r.order {
		object := map[string]any{"scenario": of.scenario, "driver": of.driver, "clients": of.clients, "rounds": len(r.rounds[of])}
		for _, m := range r.medians(of) {
			object[m.key] = json.Number(m.String())
		}
		list = append(list, object)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(list)
}

// writeTable writes a table for each database: their rows differ in columns.
func (r *report) writeTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	driver := ""
	for _, of := range r.order {
		metrics := r.medians(of)
		if of.driver != driver {
			if driver != "" {
				fmt.Fprintln(table)
			}
			driver = of.driver
			fmt.Fprintf(table, "%s %s\tclients\t", of.scenario, of.driver)
			for _, m := range metrics {
				fmt.Fprintf(table, "%s\t", m.title)
			}
			fmt.Fprintln(table)
		}
		fmt.Fprintf(table, "\t%d\t", of.clients)
		for _, m := range metrics {
			fmt.Fprintf(table, "%s\t", m)
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}
