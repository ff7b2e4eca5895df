package store_test

import (
	"sync"
	"testing"

	"github.com/spillway/spillway/store"
)

// TestSettings_ShopID_IsMadeOnce although many processes ask for it at once.
func TestSettings_ShopID_IsMadeOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		const processes = 8
		ids := make([]string, processes)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				var err error
				if ids[i], err = store.NewSettings(db).ShopID(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, id := range ids {
			if id != ids[0] || len(id) < 20 {
				t.Errorf("identities: %q", ids)
			}
		}
	})
}
