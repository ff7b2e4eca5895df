package store

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/spillway/spillway/ent/setting"
)

// settingShop is the name of the setting that holds the shop's identity.
const settingShop = "shop_id"

// Settings keeps the values that all processes of a shop share.
type Settings struct{ db *DB }

// NewSettings makes the repository.
func NewSettings(db *DB) *Settings { return &Settings{db: db} }

// ShopID returns the shop's identity: 26 random characters, made by the first caller and then the same for every process on this
// database. A copy of the database has the same identity.
func (s *Settings) ShopID(ctx context.Context) (string, error) {
	id, err := fetch(ctx, s.db, func(ctx context.Context) (id string, err error) {
		// Of two processes that start at once, one inserts and both read what it inserted.
		err = s.db.ent.Setting.Create().SetID(settingShop).SetValue(rand.Text()).OnConflict(onConflictDoNothing(setting.FieldID)...).Exec(ctx)
		if err != nil {
			return "", err
		}
		stored, err := s.db.ent.Setting.Get(ctx, settingShop)
		if err != nil {
			return "", err
		}
		return stored.Value, nil
	})
	if err != nil {
		return "", fmt.Errorf("read the shop's identity: %w", err)
	}
	return id, nil
}
