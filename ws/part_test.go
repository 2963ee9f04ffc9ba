package ws

import "testing"

// What a second brought is sent from one place to most members, whether most may
// see presence or may not.
func TestBulletinsAreShared(t *testing.T) {
	for name, sees := range map[string]func(i int) bool{
		"all see":  func(int) bool { return true },
		"few see":  func(i int) bool { return i%10 == 0 },
		"nobody":   func(int) bool { return false },
		"most see": func(i int) bool { return i%10 != 0 },
	} {
		t.Run(name, func(t *testing.T) {
			sh := newShard(&Hub{}, 0)
			p := &part{shard: sh}
			c := &channel{parts: []*part{p}}
			for i := range 100 {
				s := newSession(sh, Entry{})
				s.blocked = false
				m := &member{session: s, channel: c, live: true, seesPresence: sees(i)}
				s.members = append(s.members, m)
				p.put(m)
			}
			p.tell(bulletin{seeing: [][]byte{[]byte("seeing")}, others: [][]byte{[]byte("others")}})
			sh.gather()
			own := 0
			for _, j := range sh.jobs {
				want := "others"
				if j.session.members[0].seesPresence {
					want = "seeing"
				}
				if string(j.bytes) != want {
					t.Errorf("a member is told %q, want %q", j.bytes, want)
				}
				if j.own {
					own++
				}
			}
			if len(sh.jobs) != 100 || own > 10 {
				t.Errorf("%d are told, %d of them with bytes of their own", len(sh.jobs), own)
			}
		})
	}
}
