package auth

import (
	"slices"
	"time"
)

// schedule is what each of some keys does and when. It follows from the names of
// their files and the options alone, so that every process comes to the same.
//
// The first key signs at once. A later one is published at once and signs from
// PublishAhead after its making; the one before stops then, verifies on until the
// last token that it signed has ended, and is retired. It does not change after
// it is made.
type schedule struct {
	keys []scheduledKey // the oldest first; there is one
	byID map[string]*scheduledKey
}

type scheduledKey struct {
	keyFile
	signsFrom     time.Time // the first key: when it was made
	signsUntil    time.Time // zero: no other key takes its place
	verifiesUntil time.Time // zero: the same
}

// newSchedule takes files with the oldest first.
func newSchedule(files []keyFile, opts KeyOptions) *schedule {
	s := &schedule{keys: make([]scheduledKey, len(files)), byID: make(map[string]*scheduledKey, len(files))}
	for i, file := range files {
		key := &s.keys[i]
		key.keyFile, key.signsFrom = file, file.made
		if i > 0 {
			key.signsFrom = file.made.Add(opts.PublishAhead)
			before := &s.keys[i-1]
			before.signsUntil = key.signsFrom
			before.verifiesUntil = key.signsFrom.Add(opts.overlap())
		}
		s.byID[file.id] = key
	}
	return s
}

// isOf tells whether the schedule is the one of those files. A key is named by its
// id alone.
func (s *schedule) isOf(files []keyFile) bool {
	return slices.EqualFunc(s.keys, files, func(key scheduledKey, file keyFile) bool {
		return key.id == file.id && key.made.Equal(file.made)
	})
}

func (s *schedule) newest() *scheduledKey { return &s.keys[len(s.keys)-1] }

// signer is the last key whose turn has come. The first one signs whatever its
// name says.
func (s *schedule) signer(now time.Time) *scheduledKey {
	for i := len(s.keys) - 1; i > 0; i-- {
		if !now.Before(s.keys[i].signsFrom) {
			return &s.keys[i]
		}
	}
	return &s.keys[0]
}

// isRetired tells whether the key's tokens are refused.
func (k *scheduledKey) isRetired(now time.Time) bool {
	return !k.verifiesUntil.IsZero() && !now.Before(k.verifiesUntil)
}

// KeyDuty is what a key does at a time.
type KeyDuty string

// Duties, in the order in which a key comes to them.
const (
	KeyNext     KeyDuty = "next"     // is published, and verifies
	KeySigns    KeyDuty = "signs"    // and verifies
	KeyVerifies KeyDuty = "verifies" // what it signed before
	KeyRetired  KeyDuty = "retired"  // nothing
)

// KeyStatus is a key of a folder as it is at a time. Times are in UTC.
type KeyStatus struct {
	ID            string
	Duty          KeyDuty
	SignsFrom     time.Time // zero: before files were named for times
	SignsUntil    time.Time // zero: no other key is to take its place
	VerifiesUntil time.Time // zero: the same
}

// status is all keys, the oldest first.
func (s *schedule) status(now time.Time) []KeyStatus {
	signer, duty := s.signer(now), KeyVerifies
	list := make([]KeyStatus, len(s.keys))
	for i := range s.keys {
		key := &s.keys[i]
		list[i] = KeyStatus{
			ID: key.id, Duty: duty,
			SignsFrom: key.signsFrom, SignsUntil: key.signsUntil, VerifiesUntil: key.verifiesUntil,
		}
		switch {
		case key == signer:
			list[i].Duty, duty = KeySigns, KeyNext
		case key.isRetired(now):
			list[i].Duty = KeyRetired
		}
	}
	return list
}
