package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"strings"

	"github.com/gofiber/fiber/v2"
)

var (
	errTooLarge  = errors.New("the body is larger than this route takes")
	errMediaType = errors.New("the body must be JSON: send Content-Type: application/json")
)

// bodyError says what is wrong in a JSON body.
type bodyError struct{ reason string }

func (e *bodyError) Error() string { return e.reason }

// discardBytes is how much of a refused body is read and thrown away, so that
// the client is still there to read the refusal.
const discardBytes = 4 << 20

// jsonBody reads JSON bodies up to a size.
type jsonBody struct{ limit int } // bytes

// decode reads the request's body into v.
func (b jsonBody) decode(c *fiber.Ctx, v any) error {
	data, err := b.read(c)
	if err != nil {
		return err
	}
	return decodeStrictly(data, v)
}

// decodeOptional is decode for a route that a request without a body may call.
func (b jsonBody) decodeOptional(c *fiber.Ctx, v any) error {
	if header := &c.Context().Request.Header; header.ContentLength() == 0 && len(header.ContentType()) == 0 {
		return nil
	}
	return b.decode(c, v)
}

// decodeStrictly reads one JSON object into v, without fields that v does not
// know and with nothing behind it.
func decodeStrictly(data []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return &bodyError{describe(err)}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return &bodyError{"the body goes on behind its JSON object"}
	}
	return nil
}

// read reads a body that says it is JSON.
func (b jsonBody) read(c *fiber.Ctx) ([]byte, error) {
	media, _, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	if err != nil || media != fiber.MIMEApplicationJSON {
		return nil, errMediaType
	}
	stream := c.Context().RequestBodyStream()
	if stream == nil {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(stream, int64(b.limit)+1))
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return nil, fiber.ErrRequestTimeout
	}
	if err != nil {
		return nil, &bodyError{"the body ended early"}
	}
	if len(data) > b.limit {
		_, _ = io.CopyN(io.Discard, stream, discardBytes)
		return nil, errTooLarge
	}
	return data, nil
}

// describe says in plain words what encoding/json found.
func describe(err error) string {
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Sprintf("field %q has the wrong type: it is a JSON %s", wrong.Field, wrong.Value)
	case errors.As(err, &wrong):
		return "the body must be a JSON object, and is a JSON " + wrong.Value
	case errors.As(err, &syntax):
		return fmt.Sprintf("the body is not JSON: byte %d is out of place", syntax.Offset)
	case errors.Is(err, io.EOF):
		return "the body is empty"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the body's JSON ends early"
	}
	// encoding/json has no type for this one.
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return "the body has an unknown field " + field
	}
	return "the body could not be read"
}
