package redisstream

import _ "embed"

// The contract of each script is at the top of its file.
var (
	//go:embed lua/trim.lua
	trimScript string
	//go:embed lua/sweep.lua
	sweepScript string
)
