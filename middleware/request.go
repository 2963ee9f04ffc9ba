package middleware

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"
)

const (
	// HeaderRequestID tells a client the id that the log has.
	HeaderRequestID = "X-Request-ID"
	// maxLoggedPath cuts what a client can write into a log line, in bytes.
	maxLoggedPath = 256
)

// RequestID gives each request an id. One that the client sends is not taken:
// it would let a stranger write into the log.
func RequestID() fiber.Handler {
	return func(c *fiber.Ctx) error {
		id := rand.Text()
		c.Locals(localRequestID, id)
		c.Set(HeaderRequestID, id)
		return c.Next()
	}
}

// Timeout bounds the work on a request: its context ends after d.
func Timeout(d time.Duration) fiber.Handler {
	return func(c *fiber.Ctx) error {
		ctx, cancel := context.WithTimeout(c.UserContext(), d)
		defer cancel()
		c.SetUserContext(ctx)
		return c.Next()
	}
}

// Log writes one line a request: no query, no header, no body, so that no
// secret gets there. It has errors rendered first, to log what the client saw.
func Log(logger *slog.Logger) fiber.Handler {
	return func(c *fiber.Ctx) error {
		start := time.Now()
		if err := c.Next(); err != nil {
			if err := c.App().ErrorHandler(c, err); err != nil {
				return err
			}
		}
		attrs := []slog.Attr{
			slog.String("id", RequestIDOf(c)),
			slog.String("method", utils.CopyString(c.Method())),
			slog.String("path", cut(utils.CopyString(c.Path()), maxLoggedPath)),
			slog.Int("status", c.Response().StatusCode()),
			slog.String("address", AddressOf(c).String()),
			slog.Float64("tookMs", float64(time.Since(start).Microseconds())/1000),
		}
		if claims, ok := ClaimsOf(c); ok {
			attrs = append(attrs, slog.String("user", claims.Subject))
		}
		logger.LogAttrs(c.Context(), slog.LevelInfo, "request", attrs...)
		return nil
	}
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}
