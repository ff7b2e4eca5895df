// Package migrations holds the reviewed SQL that `spillway migrate up` applies, one directory a dialect, each with the
// checksums of its files in atlas.sum.
package migrations

import "embed"

// FS holds mysql/ and sqlite/.
//
//go:embed mysql sqlite
var FS embed.FS
