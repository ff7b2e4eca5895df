package store

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/deadletter"
)

// CountOpen counts the open dead letters of each source.
func (d *DeadLetters) CountOpen(ctx context.Context) (map[string]int64, error) {
	return fetch(ctx, d.db, func(ctx context.Context) (map[string]int64, error) {
		var counts []struct {
			Source string `sql:"source"`
			Count  int64  `sql:"count"`
		}
		err := d.db.ent.DeadLetter.Query().Where(deadletter.Status(DeadLetterOpen)).
			GroupBy(deadletter.FieldSource).Aggregate(ent.As(ent.Count(), "count")).Scan(ctx, &counts)
		if err != nil {
			return nil, fmt.Errorf("count dead letters: %w", err)
		}
		out := make(map[string]int64, len(counts))
		for _, c := range counts {
			out[c.Source] = c.Count
		}
		return out, nil
	})
}
