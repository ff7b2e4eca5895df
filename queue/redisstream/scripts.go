package redisstream

import _ "embed"

// Each script's contract stands at the head of its file.
var (
	//go:embed lua/trim.lua
	trimScript string
	//go:embed lua/sweep.lua
	sweepScript string
)
