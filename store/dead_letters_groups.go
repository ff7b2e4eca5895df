package store

import (
	"context"
	"fmt"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/deadletter"
)

// DeadLetterGroup counts the dead letters with one source, type of payload and reason.
type DeadLetterGroup struct {
	Source, PayloadType, Reason string
	Count                       int64
	Oldest, Newest              time.Time

	first, last int64 // their ids
}

// Groups counts dead letters of the status and the source, where an empty one is any: up to limit groups, those with the most first.
func (d *DeadLetters) Groups(ctx context.Context, status, source string, limit int) ([]DeadLetterGroup, error) {
	return fetch(ctx, d.db, func(ctx context.Context) ([]DeadLetterGroup, error) {
		out, err := d.groups(ctx, status, source, limit)
		if err == nil {
			err = d.addTimes(ctx, out)
		}
		if err != nil {
			return nil, fmt.Errorf("group dead letters: %w", err)
		}
		return out, nil
	})
}

func (d *DeadLetters) groups(ctx context.Context, status, source string, limit int) (out []DeadLetterGroup, err error) {
	err = each(ctx, d.db.ent, "groups", func(s scanner) error {
		var g DeadLetterGroup
		err := s.Scan(&g.Source, &g.PayloadType, &g.Reason, &g.Count, &g.first, &g.last)
		out = append(out, g)
		return err
	}, "SELECT source, payload_type, reason, COUNT(*) AS n, MIN(id) AS first_id, MAX(id) FROM failed_orders WHERE (? = '' OR status = ?) AND (? = '' OR source = ?) "+
		"GROUP BY source, payload_type, reason ORDER BY n DESC, first_id LIMIT ?", status, status, source, source, limit)
	return out, err
}

// addTimes reads when the first and the last of each group were stored: ids grow with time.
func (d *DeadLetters) addTimes(ctx context.Context, groups []DeadLetterGroup) error {
	ids := make([]int64, 0, 2*len(groups))
	for _, g := range groups {
		ids = append(ids, g.first, g.last)
	}
	rows, err := d.db.ent.DeadLetter.Query().Where(deadletter.IDIn(ids...)).Select(deadletter.FieldID, deadletter.FieldCreatedAt).All(ctx)
	if err != nil {
		return err
	}
	times := make(map[int64]*ent.DeadLetter, len(rows))
	for _, r := range rows {
		times[r.ID] = r
	}
	for i, g := range groups {
		if first, last := times[g.first], times[g.last]; first != nil && last != nil {
			groups[i].Oldest, groups[i].Newest = first.CreatedAt.UTC(), last.CreatedAt.UTC()
		}
	}
	return nil
}
