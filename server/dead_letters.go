package server

import (
	"context"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/store"
)

// DeadLetterStore is the dead-letter store in SQL.
type DeadLetterStore interface {
	List(ctx context.Context, f store.DeadLetterFilter, before int64, limit int) ([]store.DeadLetter, error)
	Get(ctx context.Context, id int64) (store.DeadLetter, error)
	Edit(ctx context.Context, id int64, payload []byte, orderID string, by store.DeadLetterAction) error
	Discard(ctx context.Context, id int64, by store.DeadLetterAction) error
	// Groups counts dead letters by source, type of payload and reason.
	Groups(ctx context.Context, status, source string, limit int) ([]store.DeadLetterGroup, error)
}

// Replayer applies dead letters again, idempotently.
type Replayer interface {
	// ReplayNoted applies a dead letter and closes it, with a note for its history.
	ReplayNoted(ctx context.Context, id int64, actor, note string) error
	// Check reports whether a replay could read the dead letter. It changes nothing.
	Check(ctx context.Context, id int64) error
}

// DeadLetters is the DeadLetterService.
type DeadLetters struct {
	Store    DeadLetterStore
	Replayer Replayer
}

var deadLetterStatuses = map[spillwayv1.DeadLetterStatus]string{
	spillwayv1.DeadLetterStatus_DEAD_LETTER_STATUS_OPEN:      store.DeadLetterOpen,
	spillwayv1.DeadLetterStatus_DEAD_LETTER_STATUS_REPLAYED:  store.DeadLetterReplayed,
	spillwayv1.DeadLetterStatus_DEAD_LETTER_STATUS_DISCARDED: store.DeadLetterDiscarded,
}

// ListDeadLetters returns a page of letters, newest first.
func (d DeadLetters) ListDeadLetters(ctx context.Context, req *spillwayv1.ListDeadLettersRequest) (*spillwayv1.ListDeadLettersResponse, error) {
	n := pageSize(req.GetPageSize())
	filter := store.DeadLetterFilter{
		Status: deadLetterStatuses[req.GetStatus()], Source: req.GetSource(), OrderID: req.GetOrderId(), Reason: req.GetReason(), PayloadType: req.GetPayloadType(),
	}
	hash := filterHash("%q", []string{req.GetStatus().String(), filter.Source, filter.OrderID, filter.Reason, filter.PayloadType})
	before, err := deadLetterCursor(req.GetPageToken(), hash)
	if err != nil {
		return nil, err
	}
	found, err := d.Store.List(ctx, filter, before, n+1)
	if err != nil {
		return nil, err
	}
	page, next := paginate(found, n, func(f store.DeadLetter) string { return hash + strconv.FormatInt(f.ID, 10) })
	resp := &spillwayv1.ListDeadLettersResponse{NextPageToken: next}
	for _, f := range page {
		resp.Letters = append(resp.Letters, deadLetterMessage(f))
	}
	return resp, nil
}

// deadLetterCursor is the id before which a page begins, 0 for the first one. The hash is that of the page's filters.
func deadLetterCursor(token, hash string) (int64, error) {
	after, err := pageAfter(token)
	if err != nil || after == "" {
		return 0, err
	}
	text, ok := strings.CutPrefix(after, hash)
	if !ok {
		return 0, errOtherFilters()
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, invalidField(fieldPageToken, "it is not a token of this list: send the nextPageToken of the page before")
	}
	return id, nil
}

// GetDeadLetter returns one letter with its payload and history.
func (d DeadLetters) GetDeadLetter(ctx context.Context, req *spillwayv1.GetDeadLetterRequest) (*spillwayv1.GetDeadLetterResponse, error) {
	m, err := d.get(ctx, req.GetId())
	return &spillwayv1.GetDeadLetterResponse{Letter: m}, err
}

// EditDeadLetter replaces the payload of an open letter by one that can be applied.
func (d DeadLetters) EditDeadLetter(ctx context.Context, req *spillwayv1.EditDeadLetterRequest) (*spillwayv1.EditDeadLetterResponse, error) {
	f, err := d.Store.Get(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	raw, orderID, err := readPayload(f.PayloadType, []byte(req.GetPayloadJson()))
	if err != nil {
		return nil, inField("payloadJson", err)
	}
	if err := d.Store.Edit(ctx, f.ID, raw, orderID, store.DeadLetterAction{Actor: actor(ctx), Detail: req.GetReason()}); err != nil {
		return nil, err
	}
	m, err := d.get(ctx, f.ID)
	return &spillwayv1.EditDeadLetterResponse{Letter: m}, err
}

// ReplayDeadLetter applies an open letter and closes it.
func (d DeadLetters) ReplayDeadLetter(ctx context.Context, req *spillwayv1.ReplayDeadLetterRequest) (*spillwayv1.ReplayDeadLetterResponse, error) {
	if err := d.Replayer.ReplayNoted(ctx, req.GetId(), actor(ctx), req.GetNote()); err != nil {
		return nil, err
	}
	m, err := d.get(ctx, req.GetId())
	return &spillwayv1.ReplayDeadLetterResponse{Letter: m}, err
}

// DiscardDeadLetter closes an open letter without applying it.
func (d DeadLetters) DiscardDeadLetter(ctx context.Context, req *spillwayv1.DiscardDeadLetterRequest) (*spillwayv1.DiscardDeadLetterResponse, error) {
	if err := d.Store.Discard(ctx, req.GetId(), store.DeadLetterAction{Actor: actor(ctx), Detail: req.GetReason()}); err != nil {
		return nil, err
	}
	m, err := d.get(ctx, req.GetId())
	return &spillwayv1.DiscardDeadLetterResponse{Letter: m}, err
}

func (d DeadLetters) get(ctx context.Context, id int64) (*spillwayv1.DeadLetter, error) {
	f, err := d.Store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	m := deadLetterMessage(f)
	m.PayloadJson = showPayload(f.PayloadType, f.Payload)
	for _, a := range f.History {
		m.History = append(m.History, &spillwayv1.DeadLetterAction{Action: a.Action, Actor: a.Actor, Time: timestamppb.New(a.At), Detail: a.Detail})
	}
	return m, nil
}

func deadLetterMessage(f store.DeadLetter) *spillwayv1.DeadLetter {
	m := &spillwayv1.DeadLetter{
		Id: f.ID, Source: f.Source, OrderId: f.OrderID, Reason: f.Reason, PayloadType: f.PayloadType, TraceId: f.TraceID,
		Attempts:   int32(f.Attempts), //nolint:gosec // The broker counts in 32 bits as well.
		CreateTime: timestamppb.New(f.CreatedAt), UpdateTime: timestamppb.New(f.UpdatedAt),
	}
	for status, name := range deadLetterStatuses {
		if name == f.Status {
			m.Status = status
		}
	}
	return m
}
