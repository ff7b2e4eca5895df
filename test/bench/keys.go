package main

import (
	"context"
	"fmt"

	"github.com/redis/rueidis"
)

// scanBatch is the number of keys per SCAN.
const scanBatch = 2000

// deleteKeys removes the keys of a namespace from Redis, where idempotency records would stay for a day.
func deleteKeys(addr, namespace string) error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanTimeout)
	defer cancel()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true})
	if err != nil {
		return fmt.Errorf("remove the keys of %s from Redis: %w", namespace, err)
	}
	defer client.Close()
	for cursor := uint64(0); ; {
		page, err := client.Do(ctx, client.B().Scan().Cursor(cursor).Match("*"+namespace+":*").Count(scanBatch).Build()).AsScanEntry()
		if err == nil && len(page.Elements) > 0 {
			err = client.Do(ctx, client.B().Unlink().Key(page.Elements...).Build()).Error()
		}
		if err != nil {
			return fmt.Errorf("remove the keys of %s from Redis: %w", namespace, err)
		}
		if cursor = page.Cursor; cursor == 0 {
			return nil
		}
	}
}
