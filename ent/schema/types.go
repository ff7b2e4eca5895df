package schema

import (
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/entsql"
	entschema "entgo.io/ent/schema"
)

// Ids are compared byte by byte: "Key" and "key" are two keys. SQLite does so by itself.
var (
	asciiID = map[string]string{dialect.MySQL: "char(26)"}
	// asciiVarID is an id, or empty.
	asciiVarID = map[string]string{dialect.MySQL: "varchar(26)"}
	// micros is to the microsecond, in UTC.
	micros = map[string]string{dialect.MySQL: "datetime(6)"}
	code3  = map[string]string{dialect.MySQL: "char(3)"}
	tiny   = map[string]string{dialect.MySQL: "tinyint"}
	// mediumBlob is up to 16 MiB.
	mediumBlob = map[string]string{dialect.MySQL: "mediumblob"}
	blob       = map[string]string{dialect.MySQL: "longblob"}
	text       = map[string]string{dialect.MySQL: "text"}
)

// binary makes a column compare byte by byte on MySQL.
func binary() entschema.Annotation { return entsql.Annotation{Collation: "utf8mb4_bin"} }

// identity is the collation of a customer's id: unlike that of binary it does not ignore spaces at the end, so that "ada " is not "ada".
const identity = "utf8mb4_0900_bin"

// exact makes a column compare as an identity.
func exact() entschema.Annotation { return entsql.Annotation{Collation: identity} }

// table names the table and its CHECKs, which hold for every writer.
func table(name string, checks map[string]string) []entschema.Annotation {
	return []entschema.Annotation{entsql.Annotation{Table: name, Checks: checks}}
}

// Minimum repeats the limit of a field's Min for the generator, which knows the limits of lengths only.
type Minimum struct{ Value int }

// Name is the name under which the generator finds it.
func (Minimum) Name() string { return "Minimum" }

// words makes a column compare as people read on MySQL, without case and accents: a FULLTEXT index finds words by the column's collation.
func words() entschema.Annotation { return entsql.Annotation{Collation: "utf8mb4_0900_ai_ci"} }
