package main

import (
	"fmt"
	"net/http"
	"testing"
)

// What a client puts into headers and paths can be any bytes. A database that
// takes UTF-8 alone must never see them: it would be our error, not theirs.
func TestOddBytesAreNoServerErrorH1(t *testing.T) {
	for _, driver := range []string{"sqlite", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			s := start(t, append(storeFlags(t, driver), behindProxy)...)
			s.signUp("alice")
			for _, odd := range []string{"\xff", "\xc3\x28", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80", "é", "%00", "%ff", "\u0085"} {
				g := grantOf(t, s.do("POST", "/login", credentials("alice", password), "User-Agent", "a"+odd, "X-Forwarded-For", "fe80::1%"+odd))
				bearer := fmt.Sprintf("Authorization: Bearer %s\r\n", g.Access)
				for _, row := range []struct {
					request string
					status  int
				}{
					{"POST /ws/ticket HTTP/1.1\r\nOrigin: http://a" + odd + "\r\n", http.StatusOK},
					{"DELETE /sessions/" + odd + " HTTP/1.1\r\n", http.StatusNotFound},
					{"GET /channels/" + odd + "/messages HTTP/1.1\r\n", http.StatusBadRequest},
					{"GET /channels?after=" + odd + " HTTP/1.1\r\n", http.StatusBadRequest},
				} {
					conn := s.rawConn()
					if _, err := fmt.Fprintf(conn, "%sHost: x\r\nConnection: close\r\n%s\r\n", row.request, bearer); err != nil {
						t.Fatal(err)
					}
					if a := readAnswer(t, conn, "GET"); a.status != row.status {
						t.Errorf("%q: %d %s, want %d", row.request, a.status, a.body, row.status)
					}
				}
			}
			if s.logged(`"level":"ERROR"`) {
				t.Error("the log tells of errors of ours")
			}
		})
	}
}
