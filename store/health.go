package store

import (
	"log/slog"
	"sync/atomic"
)

// health remembers whether something works, and logs each change of that once,
// however many run into it.
type health struct {
	// static after construction
	logger         *slog.Logger
	broken, mended string

	why atomic.Pointer[error] // nil while it works
}

func (h *health) fail(err error) {
	if h.why.Swap(&err) == nil {
		h.logger.Error(h.broken, "error", err)
	}
}

func (h *health) mend() {
	if h.why.Load() != nil && h.why.Swap(nil) != nil {
		h.logger.Info(h.mended)
	}
}

// err tells why it does not work; nil where it does.
func (h *health) err() error {
	if why := h.why.Load(); why != nil {
		return *why
	}
	return nil
}
