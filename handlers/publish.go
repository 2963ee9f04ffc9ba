package handlers

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/gatecast/gatecast/middleware"
	"github.com/gatecast/gatecast/ws"
)

const (
	headerIdempotencyKey = "Idempotency-Key" // draft-ietf-httpapi-idempotency-key-header
	maxKey               = 128               // bytes of it, as on the socket

	// unlimitedBytes bounds the data where limits.message_bytes does not: a
	// body is read whole.
	unlimitedBytes = 4 << 20
	// envelopeBytes is room for what a body has around its data.
	envelopeBytes = 1 << 10

	encodingBase64 = "base64"
	// timeLayout is ISO 8601 with milliseconds, as on the socket.
	timeLayout = "2006-01-02T15:04:05.000Z"
)

var (
	errDataTooLarge = errors.New("data is larger than a message may be here")
	errBadKey       = errors.New("Idempotency-Key must be UTF-8 of 128 bytes at most")
)

// receiptBody tells where a message is stored.
type receiptBody struct {
	Seq       int64  `json:"seq,omitempty"` // absent in a channel without history
	Timestamp string `json:"timestamp"`
	Duplicate bool   `json:"duplicate"`
}

// publish sends a message to a channel. Who may not is told so before the body
// is read.
func publish(hub *ws.Hub, body messageBody) fiber.Handler {
	return func(c *fiber.Ctx) error {
		claims, _ := middleware.ClaimsOf(c)
		channel, err := channelOf(c)
		if err != nil {
			return err
		}
		if err := hub.MayPublish(channel, claims); err != nil {
			return err
		}
		m := ws.Message{Channel: channel}
		if m.Key, err = keyOf(c); err != nil {
			return err
		}
		if err := body.read(c, &m); err != nil {
			return err
		}
		receipt, err := hub.Publish(c.UserContext(), claims, m)
		if err != nil {
			return err
		}
		return c.Status(http.StatusCreated).JSON(bodyOfReceipt(receipt))
	}
}

func bodyOfReceipt(r ws.Receipt) receiptBody {
	return receiptBody{Seq: r.Seq, Timestamp: r.Time.UTC().Format(timeLayout), Duplicate: r.Duplicate}
}

// keyOf is the request's idempotency key, as a copy. The draft has it in
// quotation marks, most clients send it bare.
func keyOf(c *fiber.Ctx) (string, error) {
	key := strings.Clone(c.Get(headerIdempotencyKey))
	if bare, ok := strings.CutPrefix(key, `"`); ok {
		if bare, ok = strings.CutSuffix(bare, `"`); ok {
			key = bare
		}
	}
	if len(key) > maxKey || !utf8.ValidString(key) {
		return "", errBadKey
	}
	return key, nil
}

// messageBody reads bodies that hold a message.
type messageBody struct {
	limit int // bytes of data
	json  jsonBody
}

// newMessageBody takes data of limit bytes at most, in base64 too; 0 is as much
// as can be read whole.
func newMessageBody(limit int) messageBody {
	if limit == 0 {
		limit = unlimitedBytes
	}
	return messageBody{limit, jsonBody{base64.StdEncoding.EncodedLen(limit) + envelopeBytes}}
}

// read reads the request's body into m.
func (b messageBody) read(c *fiber.Ctx, m *ws.Message) error {
	raw, err := b.json.read(c)
	if err != nil {
		return err
	}
	if err := middleware.ChargeBody(c, len(raw)); err != nil {
		return err
	}
	if !utf8.Valid(raw) {
		return &bodyError{"the body is not UTF-8"}
	}
	if err := ws.CheckDepth(raw); err != nil {
		return err
	}
	return b.decode(raw, m)
}

func (b messageBody) decode(raw []byte, m *ws.Message) error {
	var in struct {
		Event    string          `json:"event"`
		Encoding string          `json:"encoding"`
		Data     json.RawMessage `json:"data"` // relayed byte for byte
	}
	if err := decodeStrictly(raw, &in); err != nil {
		return err
	}
	m.Event, m.Data = in.Event, in.Data
	switch {
	case len(in.Data) == 0:
		return &bodyError{"data is required"}
	case in.Encoding == encodingBase64:
		if err := decodeBase64(in.Data, m); err != nil {
			return err
		}
	case in.Encoding != "":
		return &bodyError{`encoding must be "base64" where it is given`}
	}
	if len(m.Data) > b.limit {
		return errDataTooLarge
	}
	return nil
}

// decodeBase64 makes m a binary message.
func decodeBase64(data json.RawMessage, m *ws.Message) (err error) {
	var text *string
	if json.Unmarshal(data, &text) != nil || text == nil {
		return &bodyError{"data must be a string where encoding is base64"}
	}
	m.Binary = true
	if m.Data, err = base64.StdEncoding.DecodeString(*text); err != nil {
		return &bodyError{"data is not standard base64"}
	}
	return nil
}
