package journal

import (
	"context"

	"github.com/spillway/spillway/redisconn"
)

// Length returns the number of entries of the newest journal, which is what stock.Limits.JournalMax bounds: entries that are not relayed and trimmed.
func (j *Journal) Length(ctx context.Context) (int64, error) {
	epochs, err := j.Epochs(ctx)
	if err != nil || len(epochs) == 0 {
		return 0, err
	}
	n, err := j.do(ctx, j.conn.Client().B().Xlen().Key(j.keys.Journal(epochs[len(epochs)-1])).Build(), 0).AsInt64()
	if err != nil {
		return 0, redisconn.Unavailable(err)
	}
	return n, nil
}
