package ws

import (
	"context"
	"fmt"

	wire "github.com/gobwas/ws"

	"github.com/gatecast/gatecast/auth"
)

// HistoryQuery asks for a page of a channel.
type HistoryQuery struct {
	Channel string `json:"channel"`
	After   *int64 `json:"after"`  // messages above this number, from the oldest on
	Before  *int64 `json:"before"` // messages below this number, the newest ones where After is not given
	Limit   *int   `json:"limit"`  // PageDefault where nil; at most PageMax
}

// span checks q. An *Error says what is wrong.
func (q *HistoryQuery) span(bytes int) (Span, error) {
	span := Span{Limit: PageDefault, Bytes: bytes, Newest: q.After == nil}
	if q.Limit != nil {
		if *q.Limit < 1 {
			return Span{}, badFrame("limit must be 1 at least")
		}
		span.Limit = min(*q.Limit, PageMax)
	}
	if q.After != nil {
		if *q.After < 0 {
			return Span{}, badFrame("after must not be negative")
		}
		span.After = *q.After
	}
	if q.Before != nil {
		if *q.Before < 1 {
			return Span{}, badFrame("before must be 1 at least")
		}
		span.Before = *q.Before
	}
	return span, nil
}

// History gives the page that q asks for, where rules let the bearer of claims
// read it. A channel without history is an empty Page. Its errors are what a
// Handler returns.
func (h *Hub) History(ctx context.Context, claims auth.Claims, q HistoryQuery) (Page, error) {
	span, err := h.mayRead(claims, q)
	if err != nil {
		return Page{}, err
	}
	return h.read(ctx, q.Channel, span)
}

func (h *Hub) mayRead(claims auth.Claims, q HistoryQuery) (Span, error) {
	if err := h.opts.Rules.Allow(ActionRead, q.Channel, claims); err != nil {
		return Span{}, err
	}
	return q.span(h.pages.bytes)
}

func (h *Hub) read(ctx context.Context, channel string, span Span) (Page, error) {
	if !h.opts.Rules.History(channel).Keeps() {
		return Page{}, nil
	}
	page, err := h.opts.Log.Read(ctx, channel, span)
	if err != nil {
		return Page{}, fmt.Errorf("reading %s: %w", channel, err)
	}
	return page, nil
}

func handleHistory(ctx context.Context, s *Session, f Frame) error {
	var q HistoryQuery
	if err := f.decode(&q); err != nil {
		return err
	}
	span, err := s.hub().mayRead(s.Claims(), q)
	if err != nil {
		return err
	}
	if err := s.await(ctx, s.hub().roomBytes()); err != nil {
		return err
	}
	page, err := s.hub().read(ctx, q.Channel, span)
	if err != nil {
		return err
	}
	b := openFrame(historyFrame{Type: TypeHistory, ID: f.ID, Channel: q.Channel, Epoch: page.Epoch, More: page.More}, sizeOf(page.Messages)+1)
	s.push(seal(wire.OpText, append(appendMessageList(b, page.Messages), '}')))
	return nil
}

// Channels lists the channels with history that the bearer of claims may
// subscribe to and that have been used, by name, behind the name after. more
// tells that there are others behind those. The last message is there for who
// may read it. limit 0 means PageDefault; it is at most PageMax. A list may be
// shorter than that and still have more behind it.
func (h *Hub) Channels(ctx context.Context, claims auth.Claims, after string, limit int) (list []ChannelInfo, more bool, err error) {
	q := ListQuery{Ranges: h.opts.Rules.visible(claims), After: after, Limit: limit, Bytes: h.pages.bytes}
	if limit == 0 {
		q.Limit = PageDefault
	}
	q.Limit = min(q.Limit, PageMax)
	if len(q.Ranges) == 0 {
		return nil, false, nil
	}
	if list, more, err = h.opts.Log.List(ctx, q); err != nil {
		return nil, false, fmt.Errorf("listing channels: %w", err)
	}
	for i := range list {
		if h.opts.Rules.Allow(ActionRead, list[i].Name, claims) != nil {
			list[i].Last = nil
		}
	}
	return list, more, nil
}
