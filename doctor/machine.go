package doctor

// machine is what the checks read of the machine beside files and ports.
type machine struct {
	clockSynced func() (synced, known bool)
	diskSpace   func(path string) (free, total uint64, err error)
}

func thisMachine() machine { return machine{clockSynced: clockSynced, diskSpace: diskSpace} }

// bytesText is a size in the unit that reads best.
func bytesText[T int64 | uint64](n T) string {
	switch {
	case n >= 10<<30:
		return sprint(n>>30) + " GiB"
	case n >= 10<<20:
		return sprint(n>>20) + " MiB"
	}
	return sprint(n>>10) + " KiB"
}
