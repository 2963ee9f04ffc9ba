package middleware

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast/auth"
)

// A slot whose socket never comes, because the client went away while the
// upgrade was answered, is given back by itself.
func TestUnclaimedAdmissionIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		released := 0
		a := newAdmission(auth.Claims{}, nil, func() { released++ })
		time.Sleep(claimWithin + time.Second) // the bubble's clock
		synctest.Wait()
		if released != 1 {
			t.Errorf("released %d times", released)
		}
		if a.Claim() {
			t.Error("it was claimed after it was given back")
		}
		a.Release()
		if released != 1 {
			t.Errorf("released %d times", released)
		}
	})
}

func TestClaimedAdmissionIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		released := 0
		a := newAdmission(auth.Claims{}, nil, func() { released++ })
		if !a.Claim() {
			t.Error("could not be claimed")
		}
		time.Sleep(2 * claimWithin) // the bubble's clock
		if released != 0 {
			t.Error("a claimed slot was given back")
		}
		a.Release()
		a.Release()
		if released != 1 {
			t.Errorf("released %d times", released)
		}
	})
}
