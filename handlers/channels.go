package handlers

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatecast/gatecast/middleware"
	"github.com/gatecast/gatecast/ws"
)

// channelOf is the channel that the path names, as a copy: Fiber's own string
// lives as long as the request.
func channelOf(c *fiber.Ctx) (string, error) {
	name, err := url.PathUnescape(c.Params("channel"))
	if err != nil {
		return "", &ws.Error{Code: ws.CodeBadChannel, Message: "the channel's name is not percent-encoded as a URL has it"}
	}
	return strings.Clone(name), nil
}

// channels lists what the bearer may subscribe to and is kept.
func channels(hub *ws.Hub) fiber.Handler {
	return func(c *fiber.Ctx) error {
		claims, _ := middleware.ClaimsOf(c)
		after, limit, err := channelsQuery(c)
		if err != nil {
			return err
		}
		list, more, err := hub.Channels(c.UserContext(), claims, after, limit)
		if err != nil {
			return err
		}
		body := []byte(`{"channels":[`)
		for i := range list {
			if i > 0 {
				body = append(body, ',')
			}
			if body, err = appendChannel(body, &list[i]); err != nil {
				return err
			}
		}
		return sendJSON(c, fmt.Appendf(body, `],"more":%t}`, more))
	}
}

func channelsQuery(c *fiber.Ctx) (after string, limit int, err error) {
	q := query{c: c}
	if n := q.limit(); n != nil {
		limit = *n
	}
	if after = q.text("after"); after != "" && q.err == nil {
		_, _, q.err = ws.ParseChannel(after)
	}
	return after, limit, q.err
}

// channelBody is a channel without its last message, which is passed on byte
// for byte.
type channelBody struct {
	Channel string `json:"channel"`
	ws.Position
}

func appendChannel(body []byte, info *ws.ChannelInfo) ([]byte, error) {
	head, err := json.Marshal(channelBody{info.Name, info.Position})
	if err != nil {
		return nil, fmt.Errorf("encoding a channel: %w", err)
	}
	body = append(body, head...)
	if info.Last != nil {
		body = append(body[:len(body)-1], `,"last":`...) // in place of the closing brace
		body = append(info.Last.AppendJSON(body), '}')
	}
	return body, nil
}

// presence tells who is in a channel.
func presence(hub *ws.Hub) fiber.Handler {
	return func(c *fiber.Ctx) error {
		claims, _ := middleware.ClaimsOf(c)
		asked, err := presenceQuery(c)
		if err != nil {
			return err
		}
		present, err := hub.Presence(claims, asked)
		if err != nil {
			return inQuery(err)
		}
		return c.JSON(present)
	}
}

func presenceQuery(c *fiber.Ctx) (ws.PresenceQuery, error) {
	channel, err := channelOf(c)
	if err != nil {
		return ws.PresenceQuery{}, err
	}
	q := query{c: c}
	asked := ws.PresenceQuery{Channel: channel, After: q.text("after"), Limit: q.limit()}
	return asked, q.err
}

// sendJSON sends what is JSON already.
func sendJSON(c *fiber.Ctx, body []byte) error {
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(body)
}
