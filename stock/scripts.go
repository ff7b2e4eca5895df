package stock

import (
	_ "embed" // The scripts are part of the program.

	"github.com/redis/rueidis"
)

var (
	//go:embed lua/reserve.lua
	reserveLua string
	//go:embed lua/unpaid.lua
	unpaidLua string
	//go:embed lua/hold.lua
	holdLua string
	//go:embed lua/settle.lua
	settleLua string
	//go:embed lua/release.lua
	releaseLua string
	//go:embed lua/restock.lua
	restockLua string
	//go:embed lua/rewind.lua
	rewindLua string
	//go:embed lua/load.lua
	loadLua string
	//go:embed lua/adjust.lua
	adjustLua string
	//go:embed lua/epoch_close.lua
	epochCloseLua string
	//go:embed lua/epoch_open.lua
	epochOpenLua string
	//go:embed lua/trim.lua
	trimLua string
	//go:embed lua/expire.lua
	expireLua string
	//go:embed lua/open_epoch.lua
	openEpochLua string
	//go:embed lua/confirm.lua
	confirmLua string
	//go:embed lua/counters.lua
	countersLua string
)

// scripts are all idempotent, each by what its head says, and so all are marked retryable: rueidis may send one
// again when a connection broke and its outcome is unknown.
type scripts struct {
	reserve, settle, release, restock, hold, rewind, load, adjust, epochClose, epochOpen, trim, expire, confirm, counters *rueidis.Lua
}

func newScripts() scripts {
	return scripts{
		reserve:    rueidis.NewLuaScriptRetryable(openEpochLua + unpaidLua + reserveLua),
		settle:     rueidis.NewLuaScriptRetryable(openEpochLua + unpaidLua + settleLua),
		release:    rueidis.NewLuaScriptRetryable(openEpochLua + unpaidLua + releaseLua),
		hold:       rueidis.NewLuaScriptRetryable(unpaidLua + holdLua),
		restock:    rueidis.NewLuaScriptRetryable(openEpochLua + unpaidLua + restockLua),
		rewind:     rueidis.NewLuaScriptRetryable(unpaidLua + rewindLua),
		load:       rueidis.NewLuaScriptRetryable(loadLua),
		adjust:     rueidis.NewLuaScriptRetryable(openEpochLua + adjustLua),
		epochClose: rueidis.NewLuaScriptRetryable(epochCloseLua),
		epochOpen:  rueidis.NewLuaScriptRetryable(epochOpenLua),
		trim:       rueidis.NewLuaScriptRetryable(trimLua),
		expire:     rueidis.NewLuaScriptRetryable(expireLua),
		confirm:    rueidis.NewLuaScriptRetryable(confirmLua),
		counters:   rueidis.NewLuaScriptRetryable(countersLua),
	}
}
