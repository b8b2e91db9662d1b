// Package schema is what the tests' ent code is generated from.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
)

// Todo is a model with a router.
type Todo struct{ ent.Schema }

// Fields of a Todo.
func (Todo) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").StructTag(`live:"id,key"`),
		field.Int64("list_id").Default(7).StructTag(`live:"list_id,filter"`),
		field.String("title").Unique().StructTag(`live:"title"`),
		field.Bool("done").Default(false).StructTag(`live:"done,filter"`),
	}
}

// Note is a model that has none.
type Note struct{ ent.Schema }

// Fields of a Note.
func (Note) Fields() []ent.Field { return []ent.Field{field.String("text")} }
