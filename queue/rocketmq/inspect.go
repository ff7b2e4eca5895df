package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"slices"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/spillway/spillway/queue"
)

// Topic is what the proxy knows of a topic.
type Topic struct {
	Found bool
	// Queues is the number of its queues; Normal means that each takes messages of the type NORMAL, and can be read and written.
	Queues int
	Normal bool
}

// Topic queries the route of a topic. An unknown one is no error. Like Check, it does not retry.
func (b *Broker) Topic(ctx context.Context, name string) (t Topic, err error) {
	if err := b.checkTLS(ctx); err != nil {
		return t, err
	}
	l := newLink(b.cfg.Endpoint, b.cfg.TLS, b.cfg.Credentials)
	defer func() { err = errors.Join(err, l.close()) }()
	api, err := l.api()
	if err != nil {
		return t, err
	}
	at, err := endpoints(b.cfg.Endpoint)
	if err != nil {
		return t, err
	}
	reply, err := api.QueryRoute(ctx, &v2.QueryRouteRequest{Topic: resource(name), Endpoints: at})
	if err == nil {
		err = check(reply.GetStatus())
	}
	switch {
	case codeOf(err) == v2.Code_TOPIC_NOT_FOUND:
		return t, nil
	case err != nil:
		return t, translate(ctx, "query the route of "+name, err)
	}
	t = Topic{Found: true, Queues: len(reply.GetMessageQueues()), Normal: true}
	for _, q := range reply.GetMessageQueues() {
		t.Normal = t.Normal && q.GetPermission() == v2.Permission_READ_WRITE && slices.Contains(q.GetAcceptMessageTypes(), v2.MessageType_NORMAL)
	}
	return t, nil
}

// MaxAttempts returns how often a message of the group is delivered before it goes to the dead-letter topic; 0 if the proxy does not send it. It
// registers a consumer for a moment, which receives nothing. It fails with queue.ErrUnknownGroup, and otherwise as Check does.
func (b *Broker) MaxAttempts(ctx context.Context, topic, group string) (n int, err error) {
	if err := b.checkTLS(ctx); err != nil {
		return 0, err
	}
	l := newLink(b.cfg.Endpoint, b.cfg.TLS, b.cfg.Credentials)
	defer func() { err = errors.Join(err, l.close()) }()
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	s := newSession(l, topic, group, b.cfg.PollTimeout, b.log)
	settings, err := s.exchange(ctx)
	if err != nil {
		if unknownGroup(err) {
			err = fmt.Errorf("%w: %w", queue.ErrUnknownGroup, detail(err))
		}
		return 0, translate(ctx, "register a consumer of "+group, err)
	}
	return int(settings.GetBackoffPolicy().GetMaxAttempts()), nil
}

// exchange registers the consumer and returns its settings with those of the group. The stream ends with ctx.
func (s *session) exchange(ctx context.Context) (*v2.Settings, error) {
	api, err := s.link.api()
	if err != nil {
		return nil, err
	}
	stream, err := api.Telemetry(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the session: %w", err)
	}
	if err := stream.Send(s.settings()); err != nil {
		return nil, fmt.Errorf("send the settings: %w", err)
	}
	for {
		command, err := stream.Recv()
		switch {
		case err != nil:
			return nil, err
		case command.GetSettings() != nil:
			return command.GetSettings(), stream.CloseSend()
		case command.GetStatus() != nil:
			return nil, check(command.GetStatus())
		}
	}
}
