package stock

import (
	_ "embed" // The scripts are part of the program.

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/journal"
)

var (
	//go:embed lua/reserve.lua
	reserveLua string
	//go:embed lua/unpaid.lua
	unpaidLua string
	//go:embed lua/mark_unpaid.lua
	markUnpaidLua string
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
	//go:embed lua/expire.lua
	expireLua string
	//go:embed lua/confirm.lua
	confirmLua string
	//go:embed lua/claim.lua
	claimLua string
	//go:embed lua/bought.lua
	boughtLua string
	//go:embed lua/counters.lua
	countersLua string
)

// scripts are all idempotent, as the head of each describes, and so all are retryable: rueidis may send one again when a connection
// broke and the outcome is unknown.
type scripts struct {
	reserve, settle, release, restock, markUnpaid, rewind, load, adjust, expire, confirm, claim, bought, counters *rueidis.Lua
}

func newScripts() scripts {
	return scripts{
		reserve:    rueidis.NewLuaScriptRetryable(journal.FenceLua + unpaidLua + reserveLua),
		settle:     rueidis.NewLuaScriptRetryable(journal.FenceLua + unpaidLua + settleLua),
		release:    rueidis.NewLuaScriptRetryable(journal.FenceLua + unpaidLua + releaseLua),
		markUnpaid: rueidis.NewLuaScriptRetryable(unpaidLua + markUnpaidLua),
		restock:    rueidis.NewLuaScriptRetryable(journal.FenceLua + unpaidLua + restockLua),
		rewind:     rueidis.NewLuaScriptRetryable(unpaidLua + rewindLua),
		load:       rueidis.NewLuaScriptRetryable(journal.LessLua + loadLua),
		adjust:     rueidis.NewLuaScriptRetryable(journal.FenceLua + adjustLua),
		expire:     rueidis.NewLuaScriptRetryable(expireLua),
		confirm:    rueidis.NewLuaScriptRetryable(unpaidLua + confirmLua),
		claim:      rueidis.NewLuaScriptRetryable(unpaidLua + claimLua),
		bought:     rueidis.NewLuaScriptRetryable(unpaidLua + boughtLua),
		counters:   rueidis.NewLuaScriptRetryable(countersLua),
	}
}
