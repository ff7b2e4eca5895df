package redisconn

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]Address{
		"127.0.0.1:6379":             {Addr: "127.0.0.1:6379"},
		":6379":                      {Addr: ":6379"},
		"[::1]:6379":                 {Addr: "[::1]:6379"},
		"redis:6379":                 {Addr: "redis:6379"}, // A host of this name.
		"redis://h":                  {Addr: "h:6379"},
		"redis://h:1/":               {Addr: "h:1"},
		"redis://[::1]/0":            {Addr: "[::1]:6379"},
		"rediss://u:p@h:1":           {Addr: "h:1", Username: "u", Password: "p", TLS: true},
		"redis://:p@h":               {Addr: "h:6379", Password: "p"},
		"redis://u@h":                {Addr: "h:6379", Username: "u"},
		"redis://u%40x:p%2f%25@h":    {Addr: "h:6379", Username: "u@x", Password: "p/%"},
		"redis://u:p/a@ss:?#w+d@h:1": {Addr: "h:1", Username: "u", Password: "p/a@ss:?#w+d"},
		"redis-sentinel://u:p@h1:1,h2,[::1]/my.master": {
			Sentinels: []string{"h1:1", "h2:26379", "[::1]:26379"}, Primary: "my.master", Username: "u", Password: "p",
		},
		"rediss-sentinel://h/m": {Sentinels: []string{"h:26379"}, Primary: "m", TLS: true},
	} {
		if got, err := ParseAddress(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestParseAddress_Mistakes(t *testing.T) {
	many := strings.Repeat("h,", maxSentinels)
	for text, want := range map[string]string{
		"":                               "HOST:PORT",
		"h":                              "HOST:PORT",
		"h:":                             "port",
		"h:0":                            "port",
		"h:65536":                        "port",
		"h:redis":                        "port",
		"::1:6379":                       "HOST:PORT",
		"http://h:1":                     "scheme",
		"redis://":                       "empty",
		"redis://h1:1,h2:2":              "redis-sentinel://",
		"h1:1,h2:2":                      "redis-sentinel://",
		"redis:h":                        "redis://",
		"redis:0":                        "port",
		"redis-sentinel:h1,h2/m":         "redis-sentinel://",
		"rediss-sentinel:/h/m":           "rediss-sentinel://",
		"redis://h/1":                    "database 0",
		"redis://u:%zz@h":                "hexadecimal",
		"redis-sentinel://h1,h2":         "/mymaster",
		"redis-sentinel://h1,h2/":        "/mymaster",
		"redis-sentinel://h1/a/b":        "/mymaster",
		"redis-sentinel://h1,,h2/m":      "empty",
		"redis-sentinel://h1/m?x=y":      "/mymaster",
		"redis-sentinel://h,h:26379/m":   "twice",
		"redis-sentinel://" + many + "/": "twice",
	} {
		if got, err := ParseAddress(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want an error with %q", text, got, err, want)
		}
	}
	hosts := make([]string, maxSentinels+1)
	for i := range hosts {
		hosts[i] = "h" + strings.Repeat("x", i)
	}
	if _, err := ParseAddress("redis-sentinel://" + strings.Join(hosts, ",") + "/m"); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%d Sentinels: %v", len(hosts), err)
	}
}

// FuzzParseAddress checks that errors do not contain the password, and that every host of an address has a port.
func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{
		"h:1", "redis://u:p@h", "redis://u:p%zz@h", "rediss://[::1]:1/0", "redis-sentinel://u:s3cret@h1:26379,h2,h3/mymaster", "redis-sentinel://h1/a/b", "@:@/,",
	} {
		f.Add(seed)
	}
	const secret = "s3cretPassw0rd"
	f.Fuzz(func(t *testing.T, text string) {
		check := func(a Address, err error) {
			if err != nil {
				return
			}
			for _, addr := range append(a.Sentinels, a.Addr) {
				if addr != "" && !strings.Contains(addr, ":") {
					t.Errorf("%q: %+v has a host without a port", text, a)
				}
			}
			if (a.Addr == "") == (len(a.Sentinels) == 0) || (len(a.Sentinels) > 0) != (a.Primary != "") {
				t.Errorf("%q: %+v has neither or both of a host and Sentinels", text, a)
			}
		}
		check(ParseAddress(text))
		scheme, rest, ok := strings.Cut(text, "://")
		if !ok {
			return
		}
		a, err := ParseAddress(scheme + "://u:" + secret + "@" + rest)
		check(a, err)
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%q: the error contains the password: %v", text, err)
		}
	})
}
