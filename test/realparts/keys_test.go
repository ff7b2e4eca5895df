package realparts

import (
	"crypto/rand"
	"testing"

	"github.com/redis/rueidis"
)

func TestRestoreKeys_RoundTrip(t *testing.T) {
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{Redis(t)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	mine, other := "{test-"+rand.Text()+":", "{test-"+rand.Text()+":"
	set := func(name, value string) {
		t.Helper()
		if err := c.Do(t.Context(), c.B().Set().Key(name).Value(value).ExSeconds(60).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	want := func(name, value string) {
		t.Helper()
		got, err := c.Do(t.Context(), c.B().Get().Key(name).Build()).ToString()
		if err != nil && !rueidis.IsRedisNil(err) || got != value {
			t.Errorf("%s is %q (%v); want %q", name, got, err, value)
		}
	}
	set(mine+"p0}:a", "old")
	set(other+"p0}:a", "old")
	older := CopyKeys(t, c, mine)
	for _, prefix := range []string{mine, other} {
		set(prefix+"p0}:a", "new")
		set(prefix+"p0}:b", "new")
	}
	RestoreKeys(t, c, mine, older)
	want(mine+"p0}:a", "old")
	want(mine+"p0}:b", "")
	want(other+"p0}:a", "new")
	want(other+"p0}:b", "new")
	RestoreKeys(t, c, mine, nil)
	want(mine+"p0}:a", "")
	RestoreKeys(t, c, other, nil)
}
