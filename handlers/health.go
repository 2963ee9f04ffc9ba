package handlers

import (
	"context"
	"errors"
	"fmt"

	"github.com/gofiber/fiber/v2"
)

var errNotReady = errors.New("the server is not ready for requests")

// healthz tells that the process runs.
func healthz(c *fiber.Ctx) error { return c.JSON(fiber.Map{"status": "ok"}) }

// readyz tells whether requests can be served: not while stopping, and not
// without the database.
func readyz(ready func(context.Context) error) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if err := ready(c.UserContext()); err != nil {
			return fmt.Errorf("%w: %w", errNotReady, err)
		}
		return c.JSON(fiber.Map{"status": "ready"})
	}
}
