package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
)

// Setting is one value that all processes of a shop share, such as the shop's identity.
type Setting struct{ ent.Schema }

// Annotations name the table.
func (Setting) Annotations() []schema.Annotation { return table("settings", nil) }

// Fields of a setting.
func (Setting) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("name").MaxRuneLen(64).Annotations(binary()),
		field.String("value").MaxRuneLen(255),
	}
}
