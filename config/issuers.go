package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	maxIssuerName = 32
	maxUserPrefix = 64
)

// Issuers are others whose access tokens are good here.
type Issuers []TrustedIssuer

// TrustedIssuer is one of them. Its keys are at JWKSURL or in KeyFile.
type TrustedIssuer struct {
	Name       string       `yaml:"name"`
	Issuer     string       `yaml:"issuer"`
	Audience   string       `yaml:"audience"`
	JWKSURL    string       `yaml:"jwks_url,omitempty"`
	KeyFile    string       `yaml:"key_file,omitempty"`
	Claims     IssuerClaims `yaml:"claims,flow,omitempty"`
	UserPrefix *string      `yaml:"user_prefix,omitempty"` // nil is the name and a colon
}

// IssuerClaims name the claims that say who a user is. What is empty has the
// default that auth.ClaimNames tells.
type IssuerClaims struct {
	UserID       string `yaml:"user_id,omitempty"`
	Username     string `yaml:"username,omitempty"`
	Role         string `yaml:"role,omitempty"`
	Capabilities string `yaml:"capabilities,omitempty"`
}

// Prefix stands before the issuer's user IDs.
func (i TrustedIssuer) Prefix() string {
	if i.UserPrefix == nil {
		return i.Name + ":"
	}
	return *i.UserPrefix
}

// Set takes a list given as YAML or JSON text in the place of what was there.
func (i *Issuers) Set(text string) error {
	decoder := yaml.NewDecoder(bytes.NewBufferString(text))
	decoder.KnownFields(true)
	var given Issuers
	if err := decoder.Decode(&given); err != nil && !errors.Is(err, io.EOF) {
		return errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
	*i = given
	return nil
}

// String is the list as YAML, and empty where it is.
func (i Issuers) String() string {
	if len(i) == 0 {
		return ""
	}
	text, err := yaml.Marshal([]TrustedIssuer(i))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (v *validation) issuers(list Issuers, own string) {
	names, issuers := map[string]bool{}, map[string]bool{own: true}
	for n, i := range list {
		item := fmt.Sprintf("%q: ", i.Name)
		if i.Name == "" {
			item = fmt.Sprintf("item %d: ", n+1)
		}
		require := func(ok bool, format string, args ...any) {
			v.require(ok, "auth.issuers", item+format, args...)
		}
		require(isIssuerName(i.Name), "name is %q; it must be 1 to %d of a-z, 0-9 and -", i.Name, maxIssuerName)
		require(!names[i.Name], "name is given to two issuers")
		require(i.Issuer != "", "issuer is empty; give the iss of its tokens")
		require(!issuers[i.Issuer], "issuer is %q, which is auth.issuer or another item's; its tokens could not be told apart", i.Issuer)
		require(i.Audience != "", "audience is empty; give what stands in the aud of tokens that are meant for this server")
		require((i.JWKSURL == "") != (i.KeyFile == ""), "give its keys by jwks_url or by key_file, one of them")
		require(i.JWKSURL == "" || isKeyURL(i.JWKSURL), "jwks_url is %q; it must be https, or http to this machine, and hold no password and no #", shownURL(i.JWKSURL))
		require(isUserPrefix(i.Prefix()), "user_prefix is %q; it may have %d letters, digits and - _ . : @ = ~", i.Prefix(), maxUserPrefix)
		require(!isOurPrefix(i.Prefix()), "user_prefix is %q; users of `gatecast token` have that one", i.Prefix())
		names[i.Name], issuers[i.Issuer] = true, true
	}
}

func isIssuerName(s string) bool {
	return s != "" && len(s) <= maxIssuerName && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-')
	})
}

// isOurPrefix holds for what `gatecast token` puts before names: a role.
func isOurPrefix(s string) bool {
	return s == "user:" || s == "service:" || s == "admin:"
}

// isUserPrefix holds for what can stand in a channel's name.
func isUserPrefix(s string) bool {
	return len(s) <= maxUserPrefix && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:@=~", r))
	})
}

// isKeyURL holds where nobody on the way could put keys of their own in.
func isKeyURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
}

// shownURL leaves out a password, and everything where it cannot be found.
func shownURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return redacted
	}
	return u.Redacted()
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || host == "localhost"
}
