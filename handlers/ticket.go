package handlers

import (
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"github.com/gatecast/gatecast/auth"
	"github.com/gatecast/gatecast/middleware"
)

// ticketBody is a ticket for one socket.
type ticketBody struct {
	Ticket    string `json:"ticket"`
	ExpiresIn int    `json:"expires_in"` // seconds
}

// ticket lets the bearer's page open a socket, from the page's own origin.
func ticket(tickets *auth.Tickets) fiber.Handler {
	return func(c *fiber.Ctx) error {
		claims, _ := middleware.ClaimsOf(c)
		issued, err := tickets.Issue(c.UserContext(), claims, utils.CopyString(c.Get(fiber.HeaderOrigin)))
		if err != nil {
			return err
		}
		return c.JSON(ticketBody{Ticket: issued, ExpiresIn: int(tickets.TTL().Seconds())})
	}
}
