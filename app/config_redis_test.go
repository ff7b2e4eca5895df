package app

import (
	"reflect"
	"testing"

	"github.com/spillway/spillway/redisconn"
)

func TestRedisConfig_Connection(t *testing.T) {
	sentinel := RedisConfig{
		Addr: "redis-sentinel://u:p@h1,h2/m", Password: "of the flag", SentinelUsername: "su", SentinelPassword: "sp",
	}
	got, err := sentinel.connection()
	want := redisconn.Config{
		Sentinels: []string{"h1:26379", "h2:26379"}, Primary: "m", Username: "u", Password: "of the flag",
		SentinelUsername: "su", SentinelPassword: "sp",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for name, c := range map[string]RedisConfig{"scheme": {Addr: "rediss://h"}, "flag": {Addr: "h:1", TLS: true}} {
		if got, err := c.connection(); err != nil || got.TLS == nil {
			t.Errorf("TLS by the %s: %+v, %v", name, got, err)
		}
	}
}
