package journal

import (
	_ "embed" // The scripts are part of the program.

	"github.com/redis/rueidis"
)

// FenceLua declares the Lua function open_epoch, which each script that appends an entry calls first.
//
//go:embed lua/open_epoch.lua
var FenceLua string

var (
	//go:embed lua/epoch_close.lua
	epochCloseLua string
	//go:embed lua/epoch_open.lua
	epochOpenLua string
	//go:embed lua/replica_mark.lua
	replicaMarkLua string
	//go:embed lua/trim.lua
	trimLua string
)

// scripts are all idempotent, as the head of each describes, and so all are retryable: rueidis may send one again when a connection
// broke and the outcome is unknown.
type scripts struct{ epochClose, epochOpen, trim *rueidis.Lua }

func newScripts() scripts {
	return scripts{
		epochClose: rueidis.NewLuaScriptRetryable(epochCloseLua),
		epochOpen:  rueidis.NewLuaScriptRetryable(epochOpenLua),
		trim:       rueidis.NewLuaScriptRetryable(trimLua),
	}
}
