package journal_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spillway/spillway/journal"
)

// fakeEpochs is SQL's record of the epochs, and what was done to it.
type fakeEpochs struct {
	mu     sync.Mutex
	epochs []journal.Epoch
	done   []string
	// away is the error of every call; failing is that of the named one.
	away    error
	failing map[string]error
	// first runs before the next epoch is opened in SQL, once; nil for nothing.
	first func()
}

// call begins a call; the caller unlocks.
func (f *fakeEpochs) call(name string) error {
	f.mu.Lock()
	return errors.Join(f.away, f.failing[name])
}

func (f *fakeEpochs) fail(name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing = map[string]error{name: err}
}

func (f *fakeEpochs) goAway(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = err
}

// steps returns what was done since the last call.
func (f *fakeEpochs) steps() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.done = nil }()
	return f.done
}

func (f *fakeEpochs) note(format string, args ...any) {
	f.done = append(f.done, fmt.Sprintf(format, args...))
}

func (f *fakeEpochs) open() *journal.Epoch { return &f.epochs[len(f.epochs)-1] }

func (f *fakeEpochs) OpenEpoch(context.Context, uint8) (journal.Epoch, error) {
	err := f.call("open")
	defer f.mu.Unlock()
	if err == nil && len(f.epochs) == 0 {
		err = journal.ErrNoEpoch
	}
	if err != nil {
		return journal.Epoch{}, err
	}
	return *f.open(), nil
}

func (f *fakeEpochs) EpochAt(_ context.Context, _ uint8, number int64) (journal.Epoch, error) {
	err := f.call("at")
	defer f.mu.Unlock()
	if err == nil && (number < 1 || int(number) > len(f.epochs)) {
		err = journal.ErrNoEpoch
	}
	if err != nil {
		return journal.Epoch{}, err
	}
	return f.epochs[number-1], nil
}

func (f *fakeEpochs) append(next journal.Epoch) journal.Epoch {
	if len(f.epochs) > 0 {
		f.open().Closed = true
	}
	next.Number, next.LastID, next.OpenedAt = int64(len(f.epochs)+1), journal.StartID, time.Now()
	f.epochs = append(f.epochs, next)
	f.note("open %d in %s", next.Number, next.Mode)
	return next
}

func (f *fakeEpochs) NextEpoch(_ context.Context, closed journal.Offset, next journal.Epoch) (journal.Epoch, error) {
	err := f.call("next")
	defer f.mu.Unlock()
	if err == nil && closed.Epoch != int64(len(f.epochs)) {
		err = journal.ErrEpochConflict
	}
	if err != nil {
		return journal.Epoch{}, err
	}
	return f.append(next), nil
}

func (f *fakeEpochs) OpenSQLEpoch(_ context.Context, closed journal.Epoch) (journal.Epoch, error) {
	if first := f.first; first != nil {
		f.first = nil
		first()
	}
	err := f.call("openSQL")
	defer f.mu.Unlock()
	if open := *f.open(); err == nil && (open.Number != closed.Number || open.LastID != closed.LastID || !open.SeenAt.Equal(closed.SeenAt)) {
		err = journal.ErrEpochConflict
	}
	if err != nil {
		return journal.Epoch{}, err
	}
	f.open().Undrained = closed.Durability != "sql"
	return f.append(journal.Epoch{Durability: closed.Durability, Mode: journal.ModeSQL, ReserveShare: closed.ReserveShare}), nil
}

func (f *fakeEpochs) Undrained(context.Context, uint8) (journal.Epoch, error) {
	err := f.call("undrained")
	defer f.mu.Unlock()
	if err != nil {
		return journal.Epoch{}, err
	}
	for _, e := range f.epochs {
		if e.Undrained {
			return e, nil
		}
	}
	return journal.Epoch{}, journal.ErrNoEpoch
}

func (f *fakeEpochs) Drained(_ context.Context, _ uint8, at journal.Offset) error {
	err := f.call("drained")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	f.epochs[at.Epoch-1].Undrained = false
	f.note("drained %d", at.Epoch)
	return nil
}

func (f *fakeEpochs) Seen(_ context.Context, _ uint8, number int64, at time.Time) error {
	err := f.call("seen")
	defer f.mu.Unlock()
	if err == nil && number == int64(len(f.epochs)) {
		f.open().SeenAt = at
	}
	return err
}
