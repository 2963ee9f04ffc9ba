package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	envPrefix  = "GATECAST_"
	configFlag = "config"
)

// ErrHelp is what Load answers to --help; the text to show is Usage.
var ErrHelp = flag.ErrHelp

// Load reads all layers over the defaults and validates the result. args are
// the flags without the program's and command's names; what follows them is
// an error. own defines flags that are not settings; nil defines none.
func Load(args []string, getenv func(string) string, own func(*flag.FlagSet)) (Config, error) {
	c := Default()
	c.given = make(map[string]bool)
	settings := c.settings()

	// The flags are read first, for --config and for mistakes, and laid on
	// top of the other layers afterwards.
	flags := flag.NewFlagSet("gatecast", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String(configFlag, getenv(envPrefix+"CONFIG"), "")
	type override struct {
		setting setting
		text    string
	}
	var overrides []override
	for _, s := range settings {
		keep := func(text string) error {
			overrides = append(overrides, override{s, text})
			return nil
		}
		if _, isBool := s.value.(boolPlace); isBool {
			flags.BoolFunc(flagName(s.key), s.doc, keep)
		} else {
			flags.Func(flagName(s.key), s.doc, keep)
		}
	}
	if own != nil {
		own(flags)
	}
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("%q is not a flag: settings are given as --a.b-c=VALUE", flags.Arg(0))
	}

	if *file != "" {
		if err := c.loadFile(*file, settings); err != nil {
			return c, err
		}
	}
	if err := c.loadEnv(getenv, settings); err != nil {
		return c, err
	}
	for _, o := range overrides {
		if err := c.set(o.setting, o.text); err != nil {
			return c, fmt.Errorf("--%s (%s): %w", flagName(o.setting.key), o.setting.key, err)
		}
	}
	return c, c.Validate()
}

// set lays text over a setting's value and notes that it was given.
func (c *Config) set(s setting, text string) error {
	c.given[s.key] = true
	return s.value.Set(text)
}

func flagName(key string) string { return strings.ReplaceAll(key, "_", "-") }

func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

func (c *Config) loadEnv(getenv func(string) string, settings []setting) error {
	for _, s := range settings {
		names := []string{envName(s.key)}
		if s.key == "port" {
			names = append(names, "PORT") // the platform's choice wins
		}
		for _, name := range names {
			text := getenv(name)
			if text == "" {
				continue
			}
			if err := c.set(s, text); err != nil {
				return fmt.Errorf("environment variable %s (%s): %w", name, s.key, err)
			}
		}
	}
	return nil
}

// CheckEnviron tells of GATECAST_ variables, as os.Environ gives them, that
// name no key. What Kubernetes sets for a service called gatecast is passed
// over.
func CheckEnviron(environ []string) error {
	c := Default()
	known := []string{envPrefix + "CONFIG"}
	for _, s := range c.settings() {
		known = append(known, envName(s.key))
	}
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(known, name) ||
			strings.HasPrefix(name, envPrefix+"SERVICE_") || strings.HasPrefix(name, envPrefix+"PORT_") {
			continue
		}
		return fmt.Errorf("environment variable %s names no setting; `gatecast config` lists them", name)
	}
	return nil
}

func (c *Config) loadFile(path string, settings []setting) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("config file: %w", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, another yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) { // an empty file
		return nil
	} else if err != nil {
		return fmt.Errorf("config file %s: %w", path, err)
	}
	if err := decoder.Decode(&another); !errors.Is(err, io.EOF) {
		return fmt.Errorf("config file %s: it holds more than one document", path)
	}
	byKey := make(map[string]setting, len(settings))
	for _, s := range settings {
		byKey[s.key] = s
	}
	if err := c.setNode(byKey, "", document.Content[0]); err != nil {
		return fmt.Errorf("config file %s: %w", path, err)
	}
	return nil
}

// setNode sets every key below prefix that node gives.
func (c *Config) setNode(byKey map[string]setting, prefix string, node *yaml.Node) error {
	if s, ok := byKey[prefix]; ok {
		text, err := nodeText(node, s.value)
		if err == nil {
			err = c.set(s, text)
		}
		if err != nil {
			return fmt.Errorf("line %d: %s: %w", node.Line, prefix, err)
		}
		return nil
	}
	if node.Tag == "!!null" { // a group with nothing in it
		return nil
	}
	if node.Kind != yaml.MappingNode {
		if prefix == "" {
			return fmt.Errorf("line %d: the file must hold keys and values", node.Line)
		}
		return fmt.Errorf("line %d: %s: unknown key", node.Line, prefix)
	}
	given := make(map[string]bool)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i].Value
		if given[key] {
			return fmt.Errorf("line %d: %s: given twice", node.Content[i].Line, key)
		}
		given[key] = true
		if prefix != "" {
			key = prefix + "." + key
		}
		if !known(byKey, key) {
			return fmt.Errorf("line %d: %s: unknown key", node.Content[i].Line, key)
		}
		if err := c.setNode(byKey, key, node.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func known(byKey map[string]setting, key string) bool {
	for k := range byKey {
		if k == key || strings.HasPrefix(k, key+".") {
			return true
		}
	}
	return false
}

// nodeText is what a node's value is as text that v.Set takes.
func nodeText(node *yaml.Node, v value) (string, error) {
	_, ofMappings := v.(*Issuers)
	switch {
	case node.Kind == yaml.ScalarNode:
		return node.Value, nil
	case node.Kind == yaml.SequenceNode && !ofMappings:
		items := make([]string, len(node.Content))
		for i, item := range node.Content {
			if item.Kind != yaml.ScalarNode {
				return "", errors.New("a list may hold plain values only")
			}
			items[i] = item.Value
		}
		return strings.Join(items, ","), nil
	default:
		text, err := yaml.Marshal(node)
		return string(text), err
	}
}
