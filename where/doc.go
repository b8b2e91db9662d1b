// Package where is a small filter language: a predicate over named fields that is built in Go or parsed from a client,
// typed by a schema, compiled to SQL and matched in memory. The SQL and the matcher agree on every row, so that a list
// read from the database and the stream of later changes can never disagree.
//
// # A predicate in Go
//
//	where.And(where.Eq("done", false), where.Contains("title", "milk"))
//
// The lookups are eq, ne, in, lt, lte, gt, gte, contains, icontains, startswith and isnull. [And], [Or] and [Not]
// combine them. A [Where] is only a wish; [Schema.Bind] and [Schema.BindClient] check it against the fields that exist
// and turn it into a [Predicate], which does the work.
//
// # A predicate from a client
//
// [ParseJSON] reads a JSON document. An object is the AND of its members, an array is the OR of its elements, the
// member "not" negates what it holds; a lookup stands in an object or behind two underscores:
//
//	{"done": false, "title": {"contains": "milk"}, "not": {"list_id__in": [1, 2]}}
//	[{"owner_id": 7}, {"public": true}]
//
// [ParseQuery] reads the same lookups from a query string, joined by AND: done=false&list_id__in=1,2,3.
//
// # Logic
//
// There are two truth values. A null equals null and nothing else; "ne 5" matches a null; a null is never less than,
// greater than, or part of anything, and the negation of that is true. So the negation of a predicate matches exactly
// the rows that the predicate does not, which three-valued SQL does not give by itself: the compiled SQL is guarded.
//
// # Types
//
// A field's [Type] decides what a value may be and how it compares. Integers are exact over the whole of int64. Text
// compares by its UTF-8 bytes, and icontains by Unicode simple case folding, which knows no language: "ß" and "ẞ" are
// one letter, "ß" and "ss" are not, and the Turkish "İ" and "ı" fold to nothing else. Times are instants, cut to
// microseconds. [Opaque] values are equal when their JSON is equal.
//
// # What the database must look like
//
// The agreement of SQL and matcher rests on columns that hold what the schema says. Text columns compare by bytes for
// equality: on PostgreSQL that is every deterministic collation, so neither citext nor a nondeterministic collation, nor
// char(n). Integers are any integer type, floats are double precision (REAL in SQLite). Times are timestamptz in
// PostgreSQL and text in [TimeLayout] in SQLite, unless [Dialect.Times] says otherwise. Stored text is valid UTF-8.
package where
