package handlers

import (
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/gatecast/gatecast/middleware"
	"github.com/gatecast/gatecast/ws"
)

// messages gives a page of a channel's history.
func messages(hub *ws.Hub) fiber.Handler {
	return func(c *fiber.Ctx) error {
		claims, _ := middleware.ClaimsOf(c)
		asked, err := historyQuery(c)
		if err != nil {
			return err
		}
		page, err := hub.History(c.UserContext(), claims, asked)
		if err != nil {
			return inQuery(err)
		}
		body := ws.AppendMessages([]byte(`{"messages":`), page.Messages)
		if page.Epoch != "" {
			body = fmt.Appendf(body, `,"epoch":%q`, page.Epoch) // letters and digits
		}
		return sendJSON(c, fmt.Appendf(body, `,"more":%t}`, page.More))
	}
}

func historyQuery(c *fiber.Ctx) (ws.HistoryQuery, error) {
	channel, err := channelOf(c)
	if err != nil {
		return ws.HistoryQuery{}, err
	}
	q := query{c: c}
	asked := ws.HistoryQuery{Channel: channel, After: q.number("after"), Before: q.number("before"), Limit: q.limit()}
	return asked, q.err
}
