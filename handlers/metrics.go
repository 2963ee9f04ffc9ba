package handlers

import (
	"fmt"
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/middleware"
	"github.com/gatecast/gatecast/ws"
)

// metrics answers in one of the formats that Prometheus reads: text, unless it
// asks for another.
func metrics(gatherer prometheus.Gatherer) fiber.Handler {
	return func(c *fiber.Ctx) error {
		families, err := gatherer.Gather()
		if err != nil {
			return fmt.Errorf("gathering metrics: %w", err)
		}
		format := expfmt.Negotiate(http.Header{fiber.HeaderAccept: {c.Get(fiber.HeaderAccept)}})
		c.Set(fiber.HeaderContentType, string(format))
		encoder := expfmt.NewEncoder(c, format)
		for _, family := range families {
			if err := encoder.Encode(family); err != nil {
				return fmt.Errorf("encoding metric %s: %w", family.GetName(), err)
			}
		}
		return nil
	}
}

// operators stands behind Bearer and lets backends and admins through.
func operators(c *fiber.Ctx) error {
	claims, _ := middleware.ClaimsOf(c)
	if claims.Role != auth.RoleService && claims.Role != auth.RoleAdmin {
		return &ws.Error{Code: ws.CodeForbidden, Message: "metrics are for tokens of the role service or admin; `gatecast token --role=service` makes one"}
	}
	return c.Next()
}
