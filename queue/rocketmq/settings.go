package rocketmq

import (
	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/types/known/durationpb"
)

// settings returns the command that registers the consumer with its group and subscription.
func (s *session) settings() *v2.TelemetryCommand {
	kind := v2.ClientType_SIMPLE_CONSUMER
	return &v2.TelemetryCommand{Command: &v2.TelemetryCommand_Settings{Settings: &v2.Settings{
		ClientType:     &kind,
		RequestTimeout: durationpb.New(opTimeout),
		UserAgent:      &v2.UA{Language: v2.Language_GOLANG, Version: clientVersion},
		PubSub: &v2.Settings_Subscription{Subscription: &v2.Subscription{
			Group:              resource(s.group),
			LongPollingTimeout: durationpb.New(s.pollTimeout),
			Subscriptions:      []*v2.SubscriptionEntry{{Topic: resource(s.topic), Expression: everything()}},
		}},
	}}}
}

func resource(name string) *v2.Resource { return &v2.Resource{Name: name} }

func everything() *v2.FilterExpression {
	return &v2.FilterExpression{Type: v2.FilterType_TAG, Expression: "*"}
}
