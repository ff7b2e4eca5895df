//go:build !linux

package doctor

import "errors"

func clockSynced() (synced, known bool) { return false, false }

func diskSpace(string) (free, total uint64, err error) { return 0, 0, errors.ErrUnsupported }
