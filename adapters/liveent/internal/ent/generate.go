// Package ent is generated code that the tests of liveent use.
package ent

//go:generate go run entgo.io/ent/cmd/ent@v0.14.5 generate --feature sql/upsert,sql/execquery,sql/lock ./schema
