package ws

import "sort"

// occupants are the users in a channel, each once, in the order in which they
// came: whoever goes through them page by page misses nobody who stays, and
// meets nobody twice. A user takes some 100 bytes.
type occupants struct {
	places map[string]uint32 // in order, by user ID
	order  []occupant        // by arrival, with holes where users were
	holes  int
	last   uint64 // arrival of who came last
}

type occupant struct {
	User
	arrival     uint64 // above that of all who came before
	connections int32  // 0 where the user has left and others have not been told yet, or isHole
	left        bool   // noted in crowd.left
}

// isHole stands in place of a number of connections.
const isHole = -1

// fewHoles is how many are left alone.
const fewHoles = 16

// find gives a user's place, and nil where there is none. It is good until the
// next add, drop or compact.
func (o *occupants) find(userID string) (place uint32, who *occupant) {
	place, here := o.places[userID]
	if !here {
		return 0, nil
	}
	return place, &o.order[place]
}

// add puts a user with one connection behind all others.
func (o *occupants) add(user User) {
	if o.places == nil {
		o.places = make(map[string]uint32)
	}
	o.last++
	o.places[user.UserID] = uint32(len(o.order))
	o.order = append(o.order, occupant{User: user, arrival: o.last, connections: 1})
}

// drop makes a hole.
func (o *occupants) drop(place uint32) {
	who := &o.order[place]
	delete(o.places, who.UserID)
	*who = occupant{arrival: who.arrival, connections: isHole}
	o.holes++
}

// compact closes the holes where there are more of them than users, which takes
// no longer than making them did. It gives back the memory of those who were
// there at the busiest time.
func (o *occupants) compact() {
	if o.holes <= fewHoles || o.holes <= len(o.order)/2 {
		return
	}
	order := make([]occupant, 0, len(o.order)-o.holes)
	for _, who := range o.order {
		if who.connections != isHole {
			order = append(order, who)
		}
	}
	places := make(map[string]uint32, len(order))
	for place := range order {
		places[order[place].UserID] = uint32(place)
	}
	o.places, o.order, o.holes = places, order, 0
}

// behind is the first of those before the place end who came behind after,
// limit of them at most. next is the arrival of the last of them where there are
// others, and 0 where there are none.
func (o *occupants) behind(after uint64, limit, end int) (users []User, next uint64) {
	start := sort.Search(end, func(place int) bool { return o.order[place].arrival > after })
	users = make([]User, 0, min(limit, end-start))
	for place := start; place < end; place++ {
		who := &o.order[place]
		switch {
		case who.connections == isHole:
		case len(users) == limit:
			return users, next
		default:
			users = append(users, who.User)
			next = who.arrival
		}
	}
	return users, 0
}
