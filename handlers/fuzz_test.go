package handlers

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// H6: what is taken as a body is one JSON object with the fields that there are
// and nothing behind it; a refusal is told in text.
func FuzzBodyH6(f *testing.F) {
	for _, seed := range []string{
		`{"username":"a","password":"b"}`, `{"username":"a","password":"b","use_cookie":true}`, `{}`, `{} {}`, `{"x":1}`, `[]`, `null`, `"a"`, ``, `{`, `{"username":1}`,
		`{"username":"\ud800"}`, "{\"username\":\"\xff\"}", `{"username":"a","username":"b"}`, "\ufeff{}", `{"password":{"a":[1]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var in struct {
			credentials
			UseCookie bool `json:"use_cookie"`
		}
		err := decodeStrictly(data, &in)
		if err != nil {
			if text := err.Error(); text == "" || !utf8.ValidString(text) || len(text) > 300+len(data) {
				t.Errorf("%q: %q", data, text)
			}
			return
		}
		var object map[string]any
		if json.Unmarshal(data, &object) != nil {
			t.Errorf("%q is taken", data)
		}
		if len(object) > 3*8 { // each of the three in every spelling of its case is too many to tell here
			t.Errorf("%q has unknown fields", data)
		}
	})
}
