package handlers

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/gatecast/gatecast/ws"
)

// queryError says what is wrong in a URL's query.
type queryError struct{ reason string }

func (e *queryError) Error() string { return e.reason }

// query reads parameters of a URL's query and keeps the first error.
type query struct {
	c   *fiber.Ctx
	err error
}

// number is a whole number, or nil where it is not given.
func (q *query) number(name string) *int64 {
	if !q.c.Context().QueryArgs().Has(name) {
		return nil
	}
	n, err := strconv.ParseInt(q.c.Query(name), 10, 64)
	if err != nil && q.err == nil {
		q.err = &queryError{name + " must be a whole number"}
	}
	return &n
}

// limit is how many of a list are wanted; nil where that is not given. Whoever
// gives the list bounds it.
func (q *query) limit() *int {
	n := q.number("limit")
	if n == nil {
		return nil
	}
	if *n < 1 && q.err == nil {
		q.err = &queryError{"limit must be 1 at least"}
	}
	limit := int(min(*n, math.MaxInt32))
	return &limit
}

// text is a copy: Fiber's own lives as long as the request.
func (q *query) text(name string) string { return strings.Clone(q.c.Query(name)) }

// inQuery says that what was wrong with a question stood in the query.
func inQuery(err error) error {
	var refused *ws.Error
	if errors.As(err, &refused) && refused.Code == ws.CodeBadFrame {
		return &queryError{refused.Message}
	}
	return err
}
