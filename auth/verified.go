package auth

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

// verified is a token that was found good: whose it is, and what must still hold
// when it is shown again. It does not change.
type verified struct {
	token  Hash
	bearer *Bearer
	keys   uint64 // the version of the keys that it was checked with
	span   span
}

// span is from when until when a token is good, in seconds since 1970 and with
// the leeway that clocks have. The last second is not part of it.
type span struct{ from, until int64 }

func newSpan(exp, iat, nbf unixTime) span {
	slack := int64(leeway / time.Second)
	return span{from: int64(max(iat, nbf)) - slack, until: int64(exp) + slack}
}

// upTo is the part of a span that lies before end. A zero end is none.
func (s span) upTo(end time.Time) span {
	if !end.IsZero() {
		s.until = min(s.until, end.Unix())
	}
	return s
}

func (s span) has(now time.Time) bool {
	second := now.Unix()
	return s.from <= second && second < s.until
}

// ways is how many places there are for a token: as many pointers as lie in one
// line of a processor's cache.
const ways = 8

// verifiedTokens remembers good tokens by their hash, so that their signatures
// need not be checked again. It has a fixed number of places. A token whose ways
// are all taken is put in the place of another, which will have to be checked
// again. It is safe for concurrent use, and nobody waits.
type verifiedTokens struct {
	places []atomic.Pointer[verified]
}

// newVerifiedTokens has places for n tokens, rounded up to a multiple of ways.
func newVerifiedTokens(n int) *verifiedTokens {
	return &verifiedTokens{make([]atomic.Pointer[verified], (n+ways-1)/ways*ways)}
}

// find gives whose a token is that was good with those keys and is so now, or nil.
func (v *verifiedTokens) find(token Hash, keys uint64, now time.Time) *Bearer {
	places := v.placesFor(token)
	for i := range places {
		if known := places[i].Load(); known != nil && known.token == token && known.keys == keys && known.span.has(now) {
			return known.bearer
		}
	}
	return nil
}

// keep remembers a token, in a place that is free or of no more use where there
// is one.
func (v *verifiedTokens) keep(good *verified, now time.Time) {
	places := v.placesFor(good.token)
	place := &places[good.token[hashUsed]%ways]
	for i := range places {
		if old := places[i].Load(); old == nil || old.keys != good.keys || !old.span.has(now) {
			place = &places[i]
			break
		}
	}
	place.Store(good)
}

// hashUsed is how many bytes of a hash choose the ways of a token.
const hashUsed = 8

func (v *verifiedTokens) placesFor(token Hash) []atomic.Pointer[verified] {
	sets := uint64(len(v.places) / ways)
	first := binary.LittleEndian.Uint64(token[:hashUsed]) % sets * ways
	return v.places[first : first+ways]
}
