package journal

import (
	_ "embed" // The scripts are part of the program.

	"github.com/redis/rueidis"
)

// FenceLua declares the Lua function open_epoch, which each script that appends an entry calls first.
//
//go:embed lua/open_epoch.lua
var FenceLua string

// LessLua declares the Lua function less, which compares ids of entries.
//
//go:embed lua/less.lua
var LessLua string

var (
	//go:embed lua/ack.lua
	ackLua string
	//go:embed lua/epoch_close.lua
	epochCloseLua string
	//go:embed lua/epoch_open.lua
	epochOpenLua string
	//go:embed lua/relay_again.lua
	relayAgainLua string
	//go:embed lua/replica_mark.lua
	replicaMarkLua string
	//go:embed lua/trim.lua
	trimLua string
)

// scripts are all idempotent, as the head of each describes, and so all are retryable: rueidis may send one again when a connection
// broke and the outcome is unknown.
type scripts struct{ ack, epochClose, epochOpen, relayAgain, trim *rueidis.Lua }

func newScripts() scripts {
	return scripts{
		ack:        rueidis.NewLuaScriptRetryable(LessLua + ackLua),
		epochClose: rueidis.NewLuaScriptRetryable(epochCloseLua),
		epochOpen:  rueidis.NewLuaScriptRetryable(epochOpenLua),
		relayAgain: rueidis.NewLuaScriptRetryable(LessLua + relayAgainLua),
		trim:       rueidis.NewLuaScriptRetryable(trimLua),
	}
}
