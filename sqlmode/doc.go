// Package sqlmode reserves, settles and releases orders by SQL transactions while Redis is unavailable: see docs/design/sql-mode.md.
package sqlmode
