package store_test

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/spillway/spillway/ent/migrate/migrations"
)

// contractMark begins the line of a migration that says why the version before the one that has it does not need what it takes away.
const contractMark = "-- contract: "

var (
	// takesAway is what breaks processes of the version before: they use all that there was.
	takesAway = regexp.MustCompile(`(?i)\b(DROP COLUMN|DROP TABLE|RENAME|CHANGE COLUMN|TRUNCATE)\b`)
	// newColumn is a column that a migration adds to a table, up to the next clause.
	newColumn = regexp.MustCompile("(?i)ADD COLUMN `[a-z_]+`.*?(?:, (?:ADD|DROP|MODIFY|ALTER|CHANGE)|;)")
	// hasValue is a column that rows get which processes of the version before insert without it.
	hasValue = regexp.MustCompile(`(?i) DEFAULT | NULL DEFAULT|GENERATED ALWAYS| AS \(`)
)

// breaks returns what in a migration does not go with the version before.
func breaks(text string) (found []string) {
	if strings.Contains(text, contractMark) {
		return nil
	}
	var statements []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "--") {
			statements = append(statements, line)
		}
	}
	text = strings.Join(statements, "")
	found = takesAway.FindAllString(text, -1)
	for _, column := range newColumn.FindAllString(text, -1) {
		if strings.Contains(column, "NOT NULL") && !hasValue.MatchString(column) {
			found = append(found, column)
		}
	}
	return found
}

// TestMigrations_ExpandOnly: a migration works while the version before it still runs, and after a rollback: it only adds. What takes away has a line that
// says why nothing uses it any more. Migrations of SQLite replace whole tables, and no other process uses one meanwhile.
func TestMigrations_ExpandOnly(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(migrations.FS, "mysql/*.sql")
	if err != nil || len(names) < 10 {
		t.Fatalf("%d migrations (%v)", len(names), err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(migrations.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		if found := breaks(string(text)); len(found) > 0 {
			t.Errorf("%s breaks the version before: %q; see docs/deploy.md#migrations", name, found)
		}
	}
}

// TestMigrations_ExpandOnlyFindsWhatBreaks is the test of the test.
func TestMigrations_ExpandOnlyFindsWhatBreaks(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"ALTER TABLE `orders` DROP COLUMN `note`;":                                                                           1,
		"DROP TABLE `notes`;":                                                                                                1,
		"ALTER TABLE `orders` RENAME COLUMN `note` TO `remark`;":                                                             1,
		"ALTER TABLE `orders` ADD COLUMN `note` text NOT NULL;":                                                              1,
		"ALTER TABLE `orders` ADD COLUMN `a` int NOT NULL, ADD COLUMN `b` int NOT NULL DEFAULT 0;":                           1,
		"ALTER TABLE `orders` ADD COLUMN `note` varchar(8) NOT NULL DEFAULT \"\", DROP CHECK `c`;":                           0,
		"ALTER TABLE `orders` ADD COLUMN `note` text NULL;":                                                                  0,
		contractMark + "no version since 0.3 reads the column.\nALTER TABLE `orders` DROP COLUMN `note`;":                    0,
		"-- Drop column \"note\"? Not before the next version.\nALTER TABLE `orders` ADD COLUMN `n` int NOT NULL DEFAULT 1;": 0,
	} {
		if found := breaks(text); len(found) != want {
			t.Errorf("%s: %q; want %d", text, found, want)
		}
	}
}
