package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// metric is one figure of a row.
type metric struct {
	key   string // in JSON
	title string // in the table
	value float64
}

// String has three figures where there is something behind the point.
func (m metric) String() string {
	digits := 0
	if whole := math.Trunc(m.value); whole != m.value {
		digits = max(0, 2-int(math.Floor(math.Log10(math.Abs(m.value)))))
	}
	return strconv.FormatFloat(m.value, 'f', digits, 64)
}

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
	scenario string
	on       string // a database's driver, or a server's name
	clients  int
}

// kind is what it was measured on.
func (r row) kind() string {
	if r.on == driverSQLite || r.on == driverPostgres {
		return "driver"
	}
	return "server"
}

// report is all that was measured, in the order in which it first was.
type report struct {
	compared string // the metric that other servers' rows tell in proportion to this one's; "" is none

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
		medians[i].value = median(values)
	}
	return append(medians, r.proportion(of)...)
}

func median(values []float64) float64 {
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// proportion is how a row stands to this server's, round by round, so that what
// the machine did meanwhile hit both. There is none where there are no peers.
func (r *report) proportion(of row) []metric {
	ours := r.rounds[row{of.scenario, gatecast, of.clients}]
	hasPeers := slices.ContainsFunc(r.order, func(other row) bool { return other.on != gatecast })
	if !hasPeers || r.compared == "" {
		return nil
	}
	var values []float64
	for i, theirs := range r.rounds[of] {
		if i < len(ours) {
			values = append(values, value(theirs, r.compared)/value(ours[i], r.compared))
		}
	}
	if values = slices.DeleteFunc(values, notANumber); len(values) == 0 {
		return nil
	}
	return []metric{{"toGatecast", "to gatecast", median(values)}}
}

func notANumber(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

func value(metrics []metric, key string) float64 {
	for _, m := range metrics {
		if m.key == key {
			return m.value
		}
	}
	return math.NaN()
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
		object := map[string]any{"scenario": of.scenario, of.kind(): of.on, "clients": of.clients, "rounds": len(r.rounds[of])}
		for _, m := range r.medians(of) {
			object[m.key] = json.Number(m.String())
		}
		list = append(list, object)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(list)
}

// writeTable begins a new table where the columns change.
func (r *report) writeTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := ""
	for _, of := range r.order {
		titles, cells := of.scenario+"\tclients\t", fmt.Sprintf("%s\t%d\t", of.on, of.clients)
		for _, m := range r.medians(of) {
			titles += m.title + "\t"
			cells += m.String() + "\t"
		}
		if titles != head {
			if head != "" {
				fmt.Fprintln(table)
			}
			head = titles
			fmt.Fprintln(table, titles)
		}
		fmt.Fprintln(table, cells)
	}
	return table.Flush()
}
