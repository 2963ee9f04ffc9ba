package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// value is one setting's place in a Config; it is a flag.Value too.
type value interface {
	// Set parses text into the place.
	Set(text string) error
	// String is the text that Set would take, secrets redacted.
	String() string
}

// setting is a value under its key.
type setting struct {
	key   string // a.b_c
	value value
	doc   string
}

// place is a value that is parsed and formatted by functions.
type place[T any] struct {
	target *T
	parse  func(string) (T, error)
	format func(T) string
}

func (p place[T]) Set(text string) error {
	v, err := p.parse(text)
	if err != nil {
		return err
	}
	*p.target = v
	return nil
}

func (p place[T]) String() string {
	if p.target == nil { // package flag asks the zero value
		return ""
	}
	return p.format(*p.target)
}

func text(t *string) value {
	return place[string]{t,
		func(s string) (string, error) { return s, nil },
		func(s string) string { return s }}
}

func integer(t *int) value {
	return place[int]{t, func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil {
			return 0, fmt.Errorf("%q is not a whole number", s)
		}
		return n, nil
	}, strconv.Itoa}
}

func float(t *float64) value {
	return place[float64]{t, func(s string) (float64, error) {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not a number", s)
		}
		return f, nil
	}, func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }}
}

func duration(t *time.Duration) value {
	return place[time.Duration]{t, func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration such as 10s or 15m", s)
		}
		return d, nil
	}, shortDuration}
}

// shortDuration is 15m where Duration.String has 15m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// boolPlace lets a flag stand alone: --auth.allow-query-token.
type boolPlace struct{ place[bool] }

func (boolPlace) IsBoolFlag() bool { return true }

func boolean(t *bool) value {
	return boolPlace{place[bool]{t, func(s string) (bool, error) {
		b, err := strconv.ParseBool(s)
		if err != nil {
			return false, fmt.Errorf("%q is neither true nor false", s)
		}
		return b, nil
	}, strconv.FormatBool}}
}

// texts is a list: a YAML sequence, or separated by commas.
func texts(t *[]string) value {
	return place[[]string]{t,
		func(s string) ([]string, error) { return split(s), nil },
		func(list []string) string { return strings.Join(list, ",") }}
}

func prefixes(t *[]netip.Prefix) value {
	return place[[]netip.Prefix]{t, func(s string) ([]netip.Prefix, error) {
		var list []netip.Prefix
		for _, item := range split(s) {
			p, err := parsePrefix(item)
			if err != nil {
				return nil, fmt.Errorf("%q is neither an address nor a CIDR range", item)
			}
			list = append(list, p)
		}
		return list, nil
	}, func(list []netip.Prefix) string {
		items := make([]string, len(list))
		for i, p := range list {
			items[i] = p.String()
		}
		return strings.Join(items, ",")
	}}
}

func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

func split(s string) []string {
	var list []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// Secret is text that no print, log or encoder shows: they write [redacted].
type Secret struct{ text string }

const redacted = "[redacted]"

// Reveal is the text itself, for the one who needs it.
func (s Secret) Reveal() string { return s.text }

// Set takes the secret. Text that is there but empty is a mistake in how the
// secret was handed over, and is refused.
func (s *Secret) Set(text string) error {
	if text == "" {
		return errors.New("is empty; leave the key out, or give the secret")
	}
	s.text = text
	return nil
}

// String is empty for no secret and [redacted] otherwise.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return redacted
}

// Format keeps every verb of package fmt from showing the text.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText redacts the secret in JSON, YAML and slog.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Set merges rules given as YAML or JSON text, as the environment and flags do.
func (n *Namespaces) Set(text string) error {
	decoder := yaml.NewDecoder(bytes.NewBufferString(text))
	decoder.KnownFields(true)
	given := map[string]Rule{}
	if err := decoder.Decode(&given); err != nil && !errors.Is(err, io.EOF) {
		return errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
	merged := maps.Clone(*n)
	if merged == nil {
		merged = Namespaces{}
	}
	maps.Copy(merged, given)
	*n = merged
	return nil
}

// String is the rules as one line of YAML.
func (n Namespaces) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, pattern := range slices.Sorted(maps.Keys(n)) {
		if i > 0 {
			b.WriteString(", ")
		}
		rule := n[pattern]
		fmt.Fprintf(&b, "%q: {subscribe: [%s], publish: [%s], presence: [%s], read: [%s], history: %s}", pattern,
			strings.Join(rule.Subscribe, ", "), strings.Join(rule.Publish, ", "), strings.Join(rule.Presence, ", "),
			strings.Join(rule.Read, ", "), rule.History)
	}
	b.WriteByte('}')
	return b.String()
}

// String is the bounds as YAML.
func (h History) String() string {
	var bounds []string
	if h.Count != 0 {
		bounds = append(bounds, "count: "+strconv.Itoa(h.Count))
	}
	if h.Age != 0 {
		bounds = append(bounds, "age: "+shortDuration(time.Duration(h.Age)))
	}
	return "{" + strings.Join(bounds, ", ") + "}"
}

// UnmarshalText takes a duration such as 10s or 168h.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 10s or 15m", text)
	}
	*d = Duration(parsed)
	return nil
}

// MarshalText writes what UnmarshalText takes.
func (d Duration) MarshalText() ([]byte, error) { return []byte(shortDuration(time.Duration(d))), nil }
