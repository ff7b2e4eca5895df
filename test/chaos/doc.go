// Package chaos lets buyers loose on a shop of real parts, a process each, while each part in turn is killed, restarted and frozen.
// Then everything must drain, and the responses to the buyers must match SQL, ledger and provider: see docs/design/chaos.md.
//
// Its test is the short round. `make chaos` runs longer ones; these variables set them up:
//
//	SPILLWAY_CHAOS_ROUNDS  how many rounds; without it, the short ones
//	SPILLWAY_CHAOS_PARTS   which parts get into trouble, and which scenarios there are, by comma; all of them if empty, the short rounds
//	                       without scenarios
//	SPILLWAY_CHAOS_MOVES   what is done to them, by comma: kill, freeze, restart, rollback, replica, drop, flap, and the moves of the scenarios;
//	                       each of those named in every round; all of them by turns if empty, the short rounds without the last four
//	SPILLWAY_CHAOS_FREEZE  how long a part is frozen; 20s unless it is the short round
//	SPILLWAY_CHAOS_DURABILITY
//	                       the durabilities that take turns, by comma: journal, sql, replica; these three if empty
//	SPILLWAY_CHAOS_SEED    what the random choices begin with; printed by each run
//	SPILLWAY_CHAOS_FIRST   the first round, to repeat one of a longer run with its seed; 1 if empty
package chaos
