package middleware

import (
	"net"
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// Client finds out which address a request comes from, and whether over https,
// and leaves it for those behind. Only a trusted proxy is believed: going from
// the right, the first address in X-Forwarded-For that is not one of the
// trusted proxies is the client. (Fiber's own IP takes the leftmost, which the
// client writes itself.)
func Client(trusted []netip.Prefix) fiber.Handler {
	return func(c *fiber.Ctx) error {
		addr, secure := remoteAddr(c.Context().RemoteAddr()), c.Context().IsTLS()
		if isIn(trusted, addr) {
			addr = forwardedFor(c, trusted, addr)
			secure = secure || forwardedProto(c) == "https"
		}
		c.Locals(localAddress, addr)
		c.Locals(localSecure, secure)
		return c.Next()
	}
}

func remoteAddr(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return withoutZone(tcp.AddrPort().Addr())
	}
	return netip.Addr{}
}

func forwardedFor(c *fiber.Ctx, trusted []netip.Prefix, proxy netip.Addr) netip.Addr {
	var hops []string
	for _, line := range c.Context().Request.Header.PeekAll(fiber.HeaderXForwardedFor) {
		hops = append(hops, strings.Split(string(line), ",")...)
	}
	client := proxy
	for i := len(hops) - 1; i >= 0; i-- {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			break // nothing left of nonsense can be believed
		}
		client = hop
		if !isIn(trusted, hop) {
			break
		}
	}
	return client
}

// parseHop takes an address, with a port where the proxy writes one.
func parseHop(s string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return withoutZone(addr), true
	}
	if both, err := netip.ParseAddrPort(s); err == nil {
		return withoutZone(both.Addr()), true
	}
	return netip.Addr{}, false
}

// withoutZone is an address in its one form. A zone names a network card of one
// machine, is no part of who somebody is, and in a header may be any text.
func withoutZone(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// forwardedProto is the last proxy's word.
func forwardedProto(c *fiber.Ctx) string {
	var last string
	for _, line := range c.Context().Request.Header.PeekAll(fiber.HeaderXForwardedProto) {
		words := strings.Split(string(line), ",")
		last = strings.ToLower(strings.TrimSpace(words[len(words)-1]))
	}
	return last
}

func isIn(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
