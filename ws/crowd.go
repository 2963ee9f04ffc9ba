package ws

import (
	"slices"
	"strconv"
	"strings"
	"time"

	wire "github.com/gobwas/ws"
)

const (
	// detailDefault is DetailMax where an Options says nothing.
	detailDefault = 200
	// crowdPage is how many users a list names, unless it is asked for more, once
	// a channel sends summaries: everyone who joins is sent one.
	crowdPage = 20
	// summaryNames is how many who came, and how many who went, a summary names:
	// some 4 KB each at most, once a second for every member.
	summaryNames = 50
	// listPause is the time between two whole lists, so that a channel about as
	// large as detailMax does not send one every second.
	listPause = 10 * time.Second
)

// crowd is who is in a channel, and when the members are told of it. Up to
// detailMax users each who comes or goes is told of at once. Over it nothing is
// told but by summarise, once a second.
//
// What is known of the channel is what was told: those who came since the last
// summary are in no list yet, and those who went still are. So whoever takes
// lists and summaries as they come knows exactly who is there, also where
// somebody came and went within the second and no summary tells of it.
//
// It knows neither sessions nor sockets. The caller holds the channel's mu, and
// sends a list before it lets go of it.
type crowd struct {
	// static after construction
	channel   string
	detailMax int

	occupants
	here   int      // users with a connection
	listed int      // the place in order behind those who are told of
	left   []uint32 // places of those who are told of and had no connection at some time since the last summary
	large  bool     // summaries are sent

	firstPage []byte    // encoded, as long as summaries are sent and until the next one; nil where nobody has asked for it
	listSent  time.Time // the last whole list
}

// newCrowd makes one that begins at a time: its users arrive behind all those
// of the channel's lives before, so that a page of such a life is followed by all
// who are there now.
func newCrowd(channel string, detailMax int, at time.Time) *crowd {
	return &crowd{channel: channel, detailMax: detailMax, occupants: occupants{last: uint64(at.UnixMicro())}}
}

// enter notes a connection of a user. It tells whether the members are to be
// told at once that the user has joined.
func (c *crowd) enter(user User) bool {
	if _, who := c.find(user.UserID); who != nil {
		if who.connections == 0 { // back before anyone was told
			c.here++
		}
		who.connections++
		return false
	}
	c.add(user)
	c.here++
	if c.here > c.detailMax {
		c.large = true
	}
	if !c.large {
		c.listed = len(c.order)
	}
	return !c.large
}

// exit takes back one enter. It tells whether the members are to be told at
// once that the user has left.
func (c *crowd) exit(userID string) bool {
	place, who := c.find(userID)
	who.connections--
	if who.connections > 0 {
		return false
	}
	c.here--
	if !c.large {
		c.drop(place)
		c.compact()
		c.listed = len(c.order)
		return true
	}
	if int(place) < c.listed && !who.left {
		who.left = true
		c.left = append(c.left, place)
	}
	return false
}

// isRestless tells whether the next summarise may have something to say.
func (c *crowd) isRestless() bool {
	return c.large && (c.listed < len(c.order) || len(c.left) > 0 || c.here <= c.detailMax)
}

// bulletin is what members are told once a second, as whole WebSocket frames.
type bulletin struct {
	seeing [][]byte // to who may see presence
	others [][]byte // who hear who comes and goes, and not how many are there
}

// summarise tells what has happened since it was last called. Where no more than
// detailMax users are left, it ends the summaries and lists everyone: from here
// on each is told of at once.
func (c *crowd) summarise(now time.Time) (b bulletin) {
	if !c.large {
		return b
	}
	summary := summaryFrame{Type: TypePresence, Channel: c.channel}
	summary.Joined, summary.Left, summary.More = c.settle()
	if len(summary.Joined) > 0 || len(summary.Left) > 0 {
		b.others = append(b.others, textFrame(summary))
		summary.Count = &c.here
		b.seeing = append(b.seeing, textFrame(summary))
	}
	if c.here <= c.detailMax && now.Sub(c.listSent) >= listPause {
		c.large, c.listSent = false, now
		b.seeing = append(b.seeing, textFrame(presenceFrame{Type: TypePresence, Channel: c.channel, Presence: c.page(0, 0)}))
	}
	return b
}

func textFrame(v any) []byte { return wireFrame(wire.OpText, encode(v)) }

// settle makes the lists show who is there now, and names who came and who went
// since it last did. more tells that there are others.
func (c *crowd) settle() (joined, left []User, more bool) {
	joined, left = []User{}, []User{}
	for place := c.listed; place < len(c.order); place++ {
		who := &c.order[place]
		switch {
		case who.connections == 0:
			c.drop(uint32(place))
		case len(joined) == summaryNames:
			more = true
		default:
			joined = append(joined, who.User)
		}
	}
	for _, place := range c.left {
		who := &c.order[place]
		who.left = false
		if who.connections > 0 {
			continue
		}
		if len(left) == summaryNames {
			more = true
		} else {
			left = append(left, who.User)
		}
		c.drop(place)
	}
	c.compact()
	c.left, c.firstPage, c.listed = nil, nil, len(c.order)
	return joined, left, more
}

// page is a list of those who came behind after. limit 0 means all where each is
// told of at once, and crowdPage otherwise; it is at most detailMax.
func (c *crowd) page(after uint64, limit int) Presence {
	switch {
	case limit > 0:
		limit = min(limit, c.detailMax)
	case c.large:
		limit = min(crowdPage, c.detailMax)
	default:
		limit = c.detailMax
	}
	users, next := c.behind(after, limit, c.listed)
	slices.SortFunc(users, byName)
	return Presence{Count: c.listed - c.holes, Users: users, Next: cursor(next)}
}

// first is the first page as JSON. While many join it is encoded once a second.
func (c *crowd) first() []byte {
	if !c.large {
		return encode(c.page(0, 0))
	}
	if c.firstPage == nil {
		c.firstPage = encode(c.page(0, 0))
	}
	return c.firstPage
}

func byName(a, b User) int {
	if n := strings.Compare(a.Username, b.Username); n != 0 {
		return n
	}
	return strings.Compare(a.UserID, b.UserID)
}

const cursorBase = 36

// cursor is how clients see an arrival; it is empty for none.
func cursor(arrival uint64) string {
	if arrival == 0 {
		return ""
	}
	return strconv.FormatUint(arrival, cursorBase)
}

// arrivalOf reads a cursor. The empty one comes before all.
func arrivalOf(cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	arrival, err := strconv.ParseUint(cursor, cursorBase, 64)
	if err != nil {
		return 0, badFrame(`after must be the "next" of an earlier page`)
	}
	return arrival, nil
}
