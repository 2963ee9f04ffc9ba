package middleware

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"
	"github.com/valyala/fasthttp"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/ratelimit"
)

const (
	websocketVersion = "13"
	// keyBytes is what a Sec-WebSocket-Key decodes to (RFC 6455, 4.2.1).
	keyBytes = 16
	// bearerProtocol begins the subprotocol that carries a browser's token.
	bearerProtocol = "bearer."
	// queryToken is the URL parameter that carries a token where allowed.
	queryToken = "access_token"
	// queryTicket is the URL parameter that carries a page's ticket.
	queryTicket = "ticket"
)

// GateOptions are what the gate asks of those who come.
type GateOptions struct {
	Protocol        string // the subprotocol that we speak
	Origins         Origins
	Verifier        Verifier
	Tickets         Tickets
	AllowQueryToken bool
	Draining        func() bool

	HandshakeRate ratelimit.Rate
	Handshakes    *ratelimit.Keyed // by address
	Users         *ratelimit.Keyed // by user; what the Admission's Limiter comes from

	Connections           int // sockets in all; 0 is unlimited
	ConnectionsPerUser    int
	ConnectionsPerAddress int
}

// Tickets tell whom a ticket lets in, once.
type Tickets interface {
	Spend(ctx context.Context, ticket, origin string) (*auth.Bearer, error)
}

// Gate stands before a WebSocket. In this order: is the server going on, does
// the address come too often, is it a handshake, does the page's origin belong
// here, whose token is it, and is there room. Who passes has an Admission.
// Everyone is refused before the upgrade, and each with an error of its own.
type Gate struct {
	// static after construction
	opts       GateOptions
	handshakes fiber.Handler
	all        *ratelimit.Slots
	ofUser     *ratelimit.Slots
	ofAddress  *ratelimit.Slots

	pending sync.Map // *Admission by net.Conn, until the upgrade is answered
}

// NewGate makes a Gate.
func NewGate(opts GateOptions) *Gate {
	return &Gate{
		opts:       opts,
		handshakes: RateLimit("handshakes", opts.HandshakeRate, opts.Handshakes),
		all:        ratelimit.NewSlots(opts.Connections),
		ofUser:     ratelimit.NewSlots(opts.ConnectionsPerUser),
		ofAddress:  ratelimit.NewSlots(opts.ConnectionsPerAddress),
	}
}

// Handlers are the gate's steps before the one that upgrades.
func (g *Gate) Handlers() []fiber.Handler {
	return []fiber.Handler{g.open, g.handshakes, g.handshake, g.origin, g.credential, g.admit}
}

// Held is how many sockets the gate counts.
func (g *Gate) Held() int { return g.all.Held() }

// waitLook is the time between two looks of Wait.
const waitLook = 5 * time.Millisecond

// Wait waits until the gate counts no socket, or ctx ends.
func (g *Gate) Wait(ctx context.Context) {
	look := time.NewTicker(waitLook)
	defer look.Stop()
	for g.Held() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

func (g *Gate) open(c *fiber.Ctx) error {
	if g.opts.Draining() {
		return ErrDraining
	}
	return c.Next()
}

// handshake checks what RFC 6455, 4.2.1 asks of a request, since the library
// lets some of it pass and answers the rest with one status.
func (g *Gate) handshake(c *fiber.Ctx) error {
	switch {
	case !c.Context().Request.Header.IsHTTP11() || hasToken(c, fiber.HeaderConnection, "close"):
		return &HandshakeError{"a connection that is to be closed, or of HTTP/1.0, cannot be upgraded"}
	case !hasToken(c, fiber.HeaderUpgrade, "websocket") || !hasToken(c, fiber.HeaderConnection, "upgrade"):
		return ErrNotWebSocket
	case c.Get(fiber.HeaderSecWebSocketVersion) != websocketVersion:
		return ErrWrongVersion
	}
	if c.Get(fiber.HeaderTransferEncoding) != "" || strings.Trim(c.Get(fiber.HeaderContentLength), "0") != "" {
		return &HandshakeError{"a handshake has no body"}
	}
	key, err := base64.StdEncoding.DecodeString(c.Get(fiber.HeaderSecWebSocketKey))
	if err != nil || len(key) != keyBytes {
		return &HandshakeError{"Sec-WebSocket-Key is not 16 bytes in base64"}
	}
	offered, err := offeredProtocols(c)
	if err != nil {
		return err
	}
	if len(offered) > 0 && !slices.Contains(offered, g.opts.Protocol) {
		return &HandshakeError{"the subprotocol spoken here is " + g.opts.Protocol + "; offer it, beside bearer.TOKEN where the token comes that way"}
	}
	return c.Next()
}

func (g *Gate) origin(c *fiber.Ctx) error {
	if origin := c.Get(fiber.HeaderOrigin); origin != "" && !g.opts.Origins.allow(c, origin) {
		return ErrForeignOrigin
	}
	return c.Next()
}

func (g *Gate) credential(c *fiber.Ctx) error {
	bearer, err := g.bearer(c)
	if err != nil {
		return err
	}
	c.Locals(localBearer, bearer)
	g.strip(c)
	return c.Next()
}

// bearer tells whom the handshake's one credential lets in.
func (g *Gate) bearer(c *fiber.Ctx) (*auth.Bearer, error) {
	token, err := g.token(c)
	ticket := utils.CopyString(c.Query(queryTicket))
	if ticket != "" {
		if err == nil || errors.Is(err, ErrManyTokens) {
			return nil, ErrManyTokens
		}
		return g.opts.Tickets.Spend(c.UserContext(), ticket, utils.CopyString(c.Get(fiber.HeaderOrigin)))
	}
	if err != nil {
		return nil, err
	}
	return g.opts.Verifier.Verify(c.UserContext(), token)
}

// strip takes the token out of the request: what is upgraded keeps its headers
// for as long as the socket lives. What may be spread over several lines is put
// on one, the only one that the WebSocket library looks at.
func (g *Gate) strip(c *fiber.Ctx) {
	header := &c.Request().Header
	offered := len(header.Peek(fiber.HeaderSecWebSocketProtocol)) > 0
	for _, name := range []string{fiber.HeaderAuthorization, fiber.HeaderCookie, fiber.HeaderSecWebSocketProtocol, fiber.HeaderConnection} {
		header.Del(name)
	}
	header.Set(fiber.HeaderConnection, fiber.HeaderUpgrade)
	if offered {
		header.Set(fiber.HeaderSecWebSocketProtocol, g.opts.Protocol)
	}
	header.SetRequestURI(utils.CopyString(c.Path()))
	c.Request().URI().SetQueryString("")
}

// token finds the one credential that a handshake shows.
func (g *Gate) token(c *fiber.Ctx) (string, error) {
	tokens := bearerHeaders(c)
	offered, err := offeredProtocols(c)
	if err != nil {
		return "", err
	}
	for _, protocol := range offered {
		if token, ok := strings.CutPrefix(protocol, bearerProtocol); ok {
			tokens = append(tokens, token)
		}
	}
	inURL := utils.CopyString(c.Query(queryToken))
	if inURL != "" && g.opts.AllowQueryToken {
		tokens = append(tokens, inURL)
	}
	switch {
	case len(tokens) == 1:
		return tokens[0], nil
	case len(tokens) > 1:
		return "", ErrManyTokens
	case inURL != "":
		return "", ErrQueryToken
	case c.Get(fiber.HeaderCookie) != "" && c.Get(fiber.HeaderOrigin) == "":
		return "", ErrCookieAlone
	default:
		return "", ErrNoToken
	}
}

// admit lets the socket in where there is room. Its Admission is given back by
// whoever serves the socket, or here where there is none to serve.
func (g *Gate) admit(c *fiber.Ctx) error {
	admission, err := g.admission(bearerOf(c), ratelimit.AddressKey(AddressOf(c)))
	if err != nil {
		return err
	}
	conn := c.Context().Conn()
	g.pending.Store(conn, admission)
	c.Locals(AdmissionLocal, admission)
	if err := c.Next(); err != nil {
		g.pending.Delete(conn)
		admission.Release()
		return err
	}
	return nil
}

// ConnState is for fasthttp's hook of that name. Between the gate's yes and the
// socket's handler lies the answer to the upgrade. When the client is gone
// before it, the handler never runs: the connection ends instead, and with it
// the Admission.
func (g *Gate) ConnState(conn net.Conn, state fasthttp.ConnState) {
	switch state {
	case fasthttp.StateHijacked:
		g.pending.Delete(conn)
	case fasthttp.StateClosed:
		if admission, ok := g.pending.LoadAndDelete(conn); ok {
			admission.(*Admission).Release()
		}
	}
}

// hasToken tells whether a header's comma-separated list holds token.
func hasToken(c *fiber.Ctx, header, token string) bool {
	for _, line := range c.Context().Request.Header.PeekAll(header) {
		for item := range strings.SplitSeq(string(line), ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

// offeredProtocols are all subprotocols that a handshake names.
func offeredProtocols(c *fiber.Ctx) ([]string, error) {
	var offered []string
	for _, line := range c.Context().Request.Header.PeekAll(fiber.HeaderSecWebSocketProtocol) {
		for item := range strings.SplitSeq(string(line), ",") {
			item = strings.TrimSpace(item)
			if item == "" || slices.Contains(offered, item) {
				return nil, &HandshakeError{"Sec-WebSocket-Protocol names nothing, or the same twice"}
			}
			offered = append(offered, item)
		}
	}
	return offered, nil
}
