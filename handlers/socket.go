package handlers

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/gatecast/gatecast/middleware"
	"github.com/gatecast/gatecast/ws"
)

// farewellTimeout bounds the close frame after a panic.
const farewellTimeout = time.Second

// socket upgrades whoever the gate let in, and has the hub serve the connection. It
// returns as soon as the hub can do without it, so that what the request took is
// free again.
func socket(hub *ws.Hub, logger *slog.Logger) fiber.Handler {
	return websocket.New(func(conn *websocket.Conn) {
		admission, ok := conn.Locals(middleware.AdmissionLocal).(*middleware.Admission)
		if !ok {
			return // a route without the gate: nobody has been let in
		}
		hub.Serve(conn.NetConn(), ws.Entry{Bearer: admission.Bearer, Limiter: admission.Limiter, Release: admission.Release})
	}, websocket.Config{
		Subprotocols: []string{ws.Version},
		// Nobody reads or writes through contrib's connection: its buffers are to be
		// as small as they can be. 0 would be 1 KB each.
		ReadBufferSize: 1, WriteBufferSize: 1,
		// The default would send the panic's text to the client.
		RecoverHandler: func(conn *websocket.Conn) {
			if reason := recover(); reason != nil {
				logger.Error("socket handler panicked", "panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
				_ = conn.WriteControl(websocket.CloseMessage,
					websocket.FormatCloseMessage(ws.CloseInternal, "something went wrong on the server"),
					time.Now().Add(farewellTimeout))
			}
		},
	})
}
