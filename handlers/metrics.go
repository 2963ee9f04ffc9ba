package handlers

import (
	"fmt"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/middleware"
	"github.com/gatecast/gatecast/ws"
)

// metrics answers in Prometheus's text format, which every version of it reads.
func metrics(gatherer prometheus.Gatherer) fiber.Handler {
	return func(c *fiber.Ctx) error {
		families, err := gatherer.Gather()
		if err != nil {
			return fmt.Errorf("gathering metrics: %w", err)
		}
		c.Set(fiber.HeaderContentType, string(expfmt.FmtText))
		encoder := expfmt.NewEncoder(c, expfmt.FmtText)
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
