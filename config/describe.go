package config

import (
	"fmt"
	"net/netip"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Describe is the effective configuration as a YAML file that Load would
// take, but for secrets, which are redacted.
func (c Config) Describe() string {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range c.settings() {
		if secret, ok := s.value.(*Secret); ok && *secret == (Secret{}) {
			continue // an empty secret is a mistake, an absent one is not
		}
		parent, name := root, s.key
		for {
			group, rest, nested := strings.Cut(name, ".")
			if !nested {
				break
			}
			parent, name = child(parent, group), rest
		}
		parent.Content = append(parent.Content, scalar(name), valueNode(s.value))
	}
	text, err := yaml.Marshal(root)
	if err != nil {
		return fmt.Sprintf("# cannot be shown: %v\n", err)
	}
	return string(text)
}

// child is the mapping under name, made where missing.
func child(parent *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(parent.Content); i += 2 {
		if parent.Content[i].Value == name {
			return parent.Content[i+1]
		}
	}
	node := &yaml.Node{Kind: yaml.MappingNode}
	parent.Content = append(parent.Content, scalar(name), node)
	return node
}

func scalar(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Value: text}
}

func valueNode(v value) *yaml.Node {
	switch v := v.(type) {
	case place[[]string]:
		return sequence(*v.target)
	case place[[]netip.Prefix]:
		return sequence(split(v.String()))
	case *Namespaces:
		node := &yaml.Node{}
		if err := node.Encode(map[string]Rule(*v)); err == nil {
			return node
		}
	case *Issuers:
		node := &yaml.Node{}
		if err := node.Encode([]TrustedIssuer(*v)); err == nil {
			return node
		}
	}
	return scalar(v.String())
}

func sequence(items []string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, item := range items {
		node.Content = append(node.Content, scalar(item))
	}
	return node
}

// Markdown is the table of all keys for the docs.
func Markdown() string {
	c := Default()
	var b strings.Builder
	b.WriteString("| key | default | meaning |\n|---|---|---|\n")
	for _, s := range c.settings() {
		shown := s.value.String()
		if shown == "" {
			shown = "none"
		} else {
			shown = "`" + shown + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.key, shown, s.doc)
	}
	return b.String()
}

// Usage is the help text: every flag with its default and meaning.
func Usage() string {
	c := Default()
	var b strings.Builder
	b.WriteString("  --config FILE\n        YAML file with settings\n")
	for _, s := range c.settings() {
		fmt.Fprintf(&b, "  --%s\n        %s", flagName(s.key), s.doc)
		if shown := s.value.String(); shown != "" {
			fmt.Fprintf(&b, " (default %s)", shown)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
