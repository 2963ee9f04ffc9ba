package auth

import (
	"context"
	"strings"
	"time"
)

// Watch looks at the folder every Poll until ctx ends, and takes up what has
// changed. Where the folder cannot be read, or something in it is wrong, the keys
// that were read before stay. Each change is logged once, also that another key
// signs or one is retired because its time has come. Whoever calls it waits for
// its end. A set that is in no folder has nothing to watch.
func (s *KeySet) Watch(ctx context.Context) {
	if s.dir == "" {
		return
	}
	tick := time.NewTicker(s.opts.Poll)
	defer tick.Stop()
	w := keyWatch{keys: s, duties: s.duties()}
	for {
		select {
		case <-tick.C:
			w.look()
		case <-ctx.Done():
			return
		}
	}
}

// keyWatch remembers what has been logged. It is Watch's alone.
type keyWatch struct {
	keys   *KeySet
	duties string
	wrong  string // empty while the folder can be read
}

func (w *keyWatch) look() {
	s := w.keys
	files, err := readKeys(s.dir)
	if err == nil {
		s.replace(files)
	}
	w.logHealth(err)
	if duties := s.duties(); duties != w.duties {
		w.duties = duties
		s.opts.Logger.Info("signing keys have changed", "keys", duties)
	}
}

func (w *keyWatch) logHealth(err error) {
	wrong := ""
	if err != nil {
		wrong = err.Error()
	}
	switch {
	case wrong == w.wrong:
	case wrong != "":
		w.keys.opts.Logger.Error("signing keys cannot be read; those that were read before stay", "error", err)
	default:
		w.keys.opts.Logger.Info("signing keys are read again")
	}
	w.wrong = wrong
}

// duties is what the keys do now, in a line.
func (s *KeySet) duties() string {
	var line strings.Builder
	for _, key := range s.current.Load().status(s.opts.Now()) {
		if line.Len() > 0 {
			line.WriteString(", ")
		}
		line.WriteString(key.ID + " " + string(key.Duty))
	}
	return line.String()
}
