package store

import (
	"context"
	"time"

	"github.com/gatecast/gatecast/auth"
)

var _ auth.RevocationStore = (*DB)(nil)

// Revocations implements auth.RevocationStore.
func (d *DB) Revocations(ctx context.Context, after int64, now time.Time) (list []auth.Revocation, err error) {
	err = eachRow(ctx, d.read, `SELECT id, mark, expires_at FROM revocations WHERE id > $1 AND expires_at >= $2 ORDER BY id`, []any{after, now.UnixMilli()},
		func(scan scan) error {
			var r auth.Revocation
			var expires int64
			err := scan(&r.Number, &r.Mark, &expires)
			r.ExpiresAt = fromMilli(expires)
			list = append(list, r)
			return err
		})
	return list, unavailable("reading revocations", err)
}

// Revoke implements auth.RevocationStore.
func (d *DB) Revoke(ctx context.Context, r auth.Revocation) error {
	_, err := d.write.ExecContext(ctx, insertRevocation, r.Mark, r.ExpiresAt.UnixMilli())
	return unavailable("keeping a revocation", err)
}
