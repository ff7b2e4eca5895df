package server

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

const (
	// maxGroups bounds the groups of dead letters that are returned.
	maxGroups = 100
	// batchTime is how long a batch begins new replays. One of them may take 25 s, and the response has to precede writeTimeout.
	batchTime = 4 * time.Second
	// batchRetryDelay is when to send what was not begun again.
	batchRetryDelay = time.Second
)

// SummarizeDeadLetters counts dead letters by what they have in common.
func (d DeadLetters) SummarizeDeadLetters(
	ctx context.Context, req *spillwayv1.SummarizeDeadLettersRequest,
) (*spillwayv1.SummarizeDeadLettersResponse, error) {
	groups, err := d.Store.Groups(ctx, deadLetterStatuses[req.GetStatus()], req.GetSource(), maxGroups+1)
	if err != nil {
		return nil, err
	}
	resp := &spillwayv1.SummarizeDeadLettersResponse{Truncated: len(groups) > maxGroups}
	for _, g := range groups[:min(len(groups), maxGroups)] {
		resp.Groups = append(resp.Groups, &spillwayv1.DeadLetterGroup{
			Source: g.Source, PayloadType: g.PayloadType, Reason: g.Reason, Count: g.Count,
			OldestTime: timestamppb.New(g.Oldest), NewestTime: timestamppb.New(g.Newest),
		})
	}
	return resp, nil
}

// ReplayDeadLetters replays dead letters, or checks whether it could.
func (d DeadLetters) ReplayDeadLetters(ctx context.Context, req *spillwayv1.ReplayDeadLettersRequest) (*spillwayv1.ReplayDeadLettersResponse, error) {
	who := actor(ctx)
	results, err := forEachDeadLetter(ctx, req.GetIds(), func(id int64) error {
		if req.GetDryRun() {
			return d.Replayer.Check(ctx, id)
		}
		return d.Replayer.ReplayNoted(ctx, id, who, req.GetNote())
	})
	return &spillwayv1.ReplayDeadLettersResponse{Results: results}, err
}

// DiscardDeadLetters closes dead letters, or checks whether it could.
func (d DeadLetters) DiscardDeadLetters(ctx context.Context, req *spillwayv1.DiscardDeadLettersRequest) (*spillwayv1.DiscardDeadLettersResponse, error) {
	by := store.DeadLetterAction{Actor: actor(ctx), Detail: req.GetReason()}
	results, err := forEachDeadLetter(ctx, req.GetIds(), func(id int64) error {
		if req.GetDryRun() {
			return d.canDiscard(ctx, id)
		}
		return d.Store.Discard(ctx, id, by)
	})
	return &spillwayv1.DiscardDeadLettersResponse{Results: results}, err
}

func (d DeadLetters) canDiscard(ctx context.Context, id int64) error {
	f, err := d.Store.Get(ctx, id)
	if err == nil && f.Status != store.DeadLetterOpen {
		err = order.Refuse(order.ErrFailedPrecondition, order.ReasonDeadLetterClosed, "dead letter %d is %s", id, f.Status)
	}
	return err
}

// forEachDeadLetter calls do for one dead letter after the other, as long as batchTime lasts.
func forEachDeadLetter(ctx context.Context, ids []int64, do func(id int64) error) ([]*spillwayv1.DeadLetterResult, error) {
	end := time.Now().Add(batchTime)
	out := make([]*spillwayv1.DeadLetterResult, len(ids))
	for i, id := range ids {
		var err error
		if time.Now().Before(end) {
			err = do(id)
		} else {
			err = &order.RetryError{After: batchRetryDelay, Err: order.Refuse(order.ErrOverloaded, order.ReasonOverloaded, "the batch took too long before it")}
		}
		failed, err := itemError(ctx, err)
		if err != nil {
			return nil, err
		}
		out[i] = &spillwayv1.DeadLetterResult{Id: id, Error: failed}
	}
	return out, nil
}
