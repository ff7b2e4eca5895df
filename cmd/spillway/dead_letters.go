package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// deadLettersCmd is for operators.
type deadLettersCmd struct {
	List    deadLettersListCmd    `cmd:"" help:"List dead letters, newest first."`
	Show    deadLettersShowCmd    `cmd:"" help:"Show a dead letter: why it failed, its payload, and what was done with it."`
	Edit    deadLettersEditCmd    `cmd:"" help:"Replace the payload of an open dead letter, so that it can be replayed."`
	Replay  deadLettersReplayCmd  `cmd:"" help:"Apply dead letters again, and close those for which that worked. Replaying twice changes nothing. Exit status 1 if any failed."`
	Discard deadLettersDiscardCmd `cmd:"" help:"Close dead letters without applying them. Exit status 1 if any failed."`
}

// deadLetterClient is what all of them need.
type deadLetterClient struct {
	Client clientFlags `embed:"" group:"Shop"`
	outputFlags
}

func (c deadLetterClient) open() (spillwayv1connect.DeadLetterServiceClient, error) {
	h, url, err := c.Client.client()
	if err != nil {
		return nil, err
	}
	return spillwayv1connect.NewDeadLetterServiceClient(h, url), nil
}

type deadLettersListCmd struct {
	deadLetterClient

	Status string `enum:"open,replayed,discarded,all" default:"open" help:"Only dead letters of this status: ${enum}."`
	Source string `placeholder:"WORKER" help:"Only what this one gave up: order_writer, stock_flusher, order_relay, shipper, mailer, broker/orders, broker/shipping or broker/mail."`
	Order  string `placeholder:"ID" help:"Only dead letters of this order."`
	Limit  int    `default:"50" help:"How many at most."`
}

// Help is the end of the command's --help.
func (*deadLettersListCmd) Help() string {
	return `Examples:

    spillway dead-letters list
    spillway dead-letters list --status all --source mailer --output json`
}

var statusFlags = map[string]spillwayv1.DeadLetterStatus{
	"open": spillwayv1.DeadLetterStatus_DEAD_LETTER_STATUS_OPEN, "replayed": spillwayv1.DeadLetterStatus_DEAD_LETTER_STATUS_REPLAYED,
	"discarded": spillwayv1.DeadLetterStatus_DEAD_LETTER_STATUS_DISCARDED, "all": spillwayv1.DeadLetterStatus_DEAD_LETTER_STATUS_UNSPECIFIED,
}

// maxDeadLetterPage is the largest page that the API gives.
const maxDeadLetterPage = 100

// Run lists dead letters.
func (c *deadLettersListCmd) Run(ctx context.Context, env environment) error {
	if c.Limit < 1 {
		return usageErrorf("--limit %d: must be at least 1", c.Limit)
	}
	client, err := c.open()
	if err != nil {
		return err
	}
	var found []*spillwayv1.DeadLetter
	req := &spillwayv1.ListDeadLettersRequest{Status: statusFlags[c.Status], Source: c.Source, OrderId: c.Order}
	for {
		req.PageSize = int32(min(c.Limit-len(found), maxDeadLetterPage)) //nolint:gosec // At most maxDeadLetterPage.
		resp, err := client.ListDeadLetters(ctx, req)
		if err != nil {
			return c.Client.explain(err)
		}
		found = append(found, resp.GetLetters()...)
		req.PageToken = resp.GetNextPageToken()
		if req.GetPageToken() == "" || len(found) >= c.Limit {
			break
		}
	}
	if c.json() {
		return printMessage(env.out, &spillwayv1.ListDeadLettersResponse{Letters: found, NextPageToken: req.GetPageToken()})
	}
	return deadLetterTable(env.out, found, req.GetPageToken() != "")
}

type deadLettersShowCmd struct {
	deadLetterClient

	ID int64 `arg:"" help:"The dead letter's id, as list prints it."`
}

// Help is the end of the command's --help.
func (*deadLettersShowCmd) Help() string {
	return `Examples:

    spillway dead-letters show 7`
}

// Run shows one dead letter.
func (c *deadLettersShowCmd) Run(ctx context.Context, env environment) error {
	client, err := c.open()
	if err != nil {
		return err
	}
	resp, err := client.GetDeadLetter(ctx, &spillwayv1.GetDeadLetterRequest{Id: c.ID})
	if err != nil {
		return c.Client.explain(err)
	}
	return c.print(env.out, resp.GetLetter())
}

func (c deadLetterClient) print(out io.Writer, l *spillwayv1.DeadLetter) error {
	if c.json() {
		return printMessage(out, l)
	}
	return deadLetterDetails(out, l)
}

type deadLettersEditCmd struct {
	deadLetterClient

	ID     int64  `arg:"" help:"The dead letter's id."`
	File   string `required:"" placeholder:"PATH" help:"The new payload: JSON as show prints it, mended. '-' is standard input."`
	Reason string `help:"Why, for the history."`
}

// Help is the end of the command's --help.
func (*deadLettersEditCmd) Help() string {
	return `Examples:

    spillway dead-letters edit 7 --file payload.json --reason 'the SKU was misspelt'`
}

// payloadBytesMax is what the API accepts.
const payloadBytesMax = 60_000

// Run edits one dead letter.
func (c *deadLettersEditCmd) Run(ctx context.Context, env environment) error {
	text, err := c.payload()
	if err != nil {
		return fmt.Errorf("--file: %w", err)
	}
	client, err := c.open()
	if err != nil {
		return err
	}
	resp, err := client.EditDeadLetter(ctx, &spillwayv1.EditDeadLetterRequest{Id: c.ID, PayloadJson: string(text), Reason: c.Reason})
	if err != nil {
		return c.Client.explain(err)
	}
	return c.print(env.out, resp.GetLetter())
}

// payload reads the file, as much of it as may be sent.
func (c *deadLettersEditCmd) payload() (text []byte, err error) {
	in := os.Stdin
	if c.File != "-" {
		if in, err = os.Open(c.File); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, in.Close()) }()
	}
	text, err = io.ReadAll(io.LimitReader(in, payloadBytesMax+1))
	if err == nil && len(text) > payloadBytesMax {
		err = fmt.Errorf("more than %d bytes; so large a payload cannot be edited", payloadBytesMax)
	}
	return text, err
}

type deadLettersReplayCmd struct {
	deadLetterClient

	IDs []int64 `arg:"" name:"id" help:"The dead letters' ids."`
}

// Help is the end of the command's --help.
func (*deadLettersReplayCmd) Help() string {
	return `Examples:

    spillway dead-letters replay 7 8`
}

// Run replays dead letters, each whatever became of the others.
func (c *deadLettersReplayCmd) Run(ctx context.Context, env environment) error {
	client, err := c.open()
	if err != nil {
		return err
	}
	return c.each(env.out, c.IDs, func(id int64) (*spillwayv1.DeadLetter, error) {
		resp, err := client.ReplayDeadLetter(ctx, &spillwayv1.ReplayDeadLetterRequest{Id: id})
		return resp.GetLetter(), err
	})
}

type deadLettersDiscardCmd struct {
	deadLetterClient

	IDs    []int64 `arg:"" name:"id" help:"The dead letters' ids."`
	Reason string  `required:"" help:"Why, for the history."`
}

// Help is the end of the command's --help.
func (*deadLettersDiscardCmd) Help() string {
	return `Examples:

    spillway dead-letters discard 9 --reason 'a test order'`
}

// Run discards dead letters, each whatever became of the others.
func (c *deadLettersDiscardCmd) Run(ctx context.Context, env environment) error {
	client, err := c.open()
	if err != nil {
		return err
	}
	return c.each(env.out, c.IDs, func(id int64) (*spillwayv1.DeadLetter, error) {
		resp, err := client.DiscardDeadLetter(ctx, &spillwayv1.DiscardDeadLetterRequest{Id: id, Reason: c.Reason})
		return resp.GetLetter(), err
	})
}

// each does one thing with each dead letter and prints the result.
func (c deadLetterClient) each(out io.Writer, ids []int64, do func(id int64) (*spillwayv1.DeadLetter, error)) error {
	var errs []error
	var done []*spillwayv1.DeadLetter
	for _, id := range ids {
		l, err := do(id)
		if err != nil {
			errs = append(errs, fmt.Errorf("dead letter %d: %w", id, c.Client.explain(err)))
			continue
		}
		done = append(done, l)
		if !c.json() {
			fmt.Fprintf(out, "dead letter %d: %s\n", id, statusName(l))
		}
	}
	if c.json() {
		errs = append(errs, printMessage(out, &spillwayv1.ListDeadLettersResponse{Letters: done}))
	}
	return errors.Join(errs...)
}

func statusName(l *spillwayv1.DeadLetter) string {
	return strings.ToLower(strings.TrimPrefix(l.GetStatus().String(), "DEAD_LETTER_STATUS_"))
}
