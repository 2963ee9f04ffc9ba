package ratelimit

import (
	"net/netip"
	"unique"
)

// ipv6Prefix is how much of an IPv6 address names a customer: a home or a
// server is given a whole /64 and can use any address in it.
const ipv6Prefix = 64

// AddressKey is the key that an address is limited by: an IPv4 address itself,
// also where it comes mapped into IPv6, and the /64 of an IPv6 address.
func AddressKey(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	switch {
	case addr.Is4():
		return shared(addr.String())
	case addr.Is6():
		return shared(netip.PrefixFrom(addr, ipv6Prefix).Masked().String())
	default: // the zero Addr: all who have no address share a key
		return "unknown"
	}
}

// shared is the one copy of a key: all connections of an address keep it.
func shared(key string) string { return unique.Make(key).Value() }
