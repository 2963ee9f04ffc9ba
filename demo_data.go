package main

import (
	"maps"
	"math"
	"math/rand/v2"
	"time"
)

// share is one that does not exist.
type share struct {
	Symbol string  `json:"symbol"`
	Price  float64 `json:"price"`
	Change float64 `json:"change"` // in percent since the demo began

	opening float64
}

// market is every share. Prices wander, and are drawn back to where they began.
type market []share

func newMarket() market {
	m := market{
		{Symbol: "CAST", opening: 84.20},
		{Symbol: "ECHO", opening: 12.75},
		{Symbol: "GATE", opening: 231.40},
		{Symbol: "NOVA", opening: 43.18},
		{Symbol: "PONG", opening: 147.05},
	}
	for i := range m {
		m[i].Price = m[i].opening
	}
	return m
}

// next moves all prices on, and gives them all.
func (m market) next() []share {
	for i := range m {
		p := &m[i]
		p.Price = cents(wander(p.Price, p.opening, p.opening/300))
		p.Change = cents(100 * (p.Price/p.opening - 1))
	}
	return m
}

// sensor is what measures, and its last value.
type sensor struct {
	Name  string  `json:"sensor"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Min   float64 `json:"min"` // the ends of the sensor's scale
	Max   float64 `json:"max"`

	usual, step float64
}

type sensors []sensor

func newSensors() sensors {
	return sensors{
		{Name: "temperature", usual: 24, step: 0.15, Value: 24, Unit: "°C", Min: 10, Max: 40},
		{Name: "humidity", usual: 55, step: 0.6, Value: 55, Unit: "%", Min: 0, Max: 100},
		{Name: "power", usual: 3.2, step: 0.12, Value: 3.2, Unit: "kW", Min: 0, Max: 8},
		{Name: "co2", usual: 620, step: 9, Value: 620, Unit: "ppm", Min: 400, Max: 1200},
	}
}

// next measures, and gives what all sensors say.
func (s sensors) next() []sensor {
	for i := range s {
		r := &s[i]
		r.Value = cents(min(max(wander(r.Value, r.usual, r.step), r.Min), r.Max))
	}
	return s
}

// wander takes a step of a random walk that is drawn home, so that it never
// strays far.
func wander(from, home, step float64) float64 {
	const pull = 0.02
	return from + pull*(home-from) + step*rand.NormFloat64()
}

func cents(f float64) float64 { return math.Round(f*100) / 100 }

const (
	// demoReaders bounds how many users are notified: with a message each in
	// demoNotifyEvery on average they take a quarter of the rate that a user has
	// by default.
	demoReaders     = 50
	demoNotifyEvery = 20 * time.Second
	// demoNotes bounds how many notifications a round sends, so that a crowd that
	// comes at once does not hold up the prices.
	demoNotes = 5
)

// note is a notification. The page has the words for each kind.
type note struct {
	Kind   string  `json:"kind"`
	Name   string  `json:"name,omitempty"`
	Number int     `json:"number,omitempty"`
	Symbol string  `json:"symbol,omitempty"`
	Price  float64 `json:"price,omitempty"`
}

// readers are the users who get notifications, by ID, and when each gets the
// next; zero for whom nobody has welcomed.
type readers map[string]time.Time

// due forgets who is not there any more, and gives who gets something now.
func (r readers) due(there []string, now time.Time) []string {
	before := maps.Clone(r)
	clear(r)
	var due []string
	for _, id := range there {
		r[id] = before[id]
		if !r[id].After(now) && len(due) < demoNotes {
			due = append(due, id)
		}
	}
	return due
}

// note makes what a user gets now: at first a welcome.
func (r readers) note(id string, m market) note {
	welcomed := !r[id].IsZero()
	r[id] = time.Now().Add(time.Duration((0.75 + rand.Float64()/2) * float64(demoNotifyEvery)))
	if !welcomed {
		return note{Kind: "welcome"}
	}
	names := []string{"Anna", "Linh", "Minh", "Omar"}
	switch rand.IntN(3) {
	case 0:
		return note{Kind: "mention", Name: names[rand.IntN(len(names))]}
	case 1:
		return note{Kind: "order", Number: 1000 + rand.IntN(9000)}
	default:
		one := m[rand.IntN(len(m))]
		return note{Kind: "price", Symbol: one.Symbol, Price: one.Price}
	}
}
