package auth

import (
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// MaxUsername is how many characters a username has at most.
const MaxUsername = 64

// Username brings a name into the one form that accounts are kept under:
// PRECIS UsernameCaseMapped (RFC 8265, 3.3), so that spellings that differ in
// case, width or composition are the same account. A name that has no such
// form is an *InputError.
func Username(raw string) (string, error) {
	if raw == "" {
		return "", &InputError{Field: "username", Reason: "is required"}
	}
	if len(raw) > MaxUsername*utf8.UTFMax {
		return "", &InputError{Field: "username", Reason: tooLong}
	}
	name, err := precis.UsernameCaseMapped.String(raw)
	if err != nil {
		return "", &InputError{Field: "username", Reason: "may hold letters, digits and printable ASCII signs, and no spaces"}
	}
	if utf8.RuneCountInString(name) > MaxUsername {
		return "", &InputError{Field: "username", Reason: tooLong}
	}
	return name, nil
}

var tooLong = fmt.Sprintf("may have %d characters at most", MaxUsername)
