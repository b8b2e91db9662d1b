package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/wire"
)

// isBulk reports whether a call writes many rows: create, update or delete of an array.
func isBulk(m wire.Message) bool {
	return (m.Verb == "create" || m.Verb == "update" || m.Verb == "delete") && m.Key == "" && isArray(m.Data)
}

func isArray(data []byte) bool {
	data = bytes.TrimSpace(data)
	return len(data) > 0 && data[0] == '['
}

// checkBulk refuses a call that writes many rows of a router that could store some and not others.
func (e *endpoint) checkBulk(m wire.Message) error {
	switch {
	case !isBulk(m):
		return nil
	case e.tx == nil:
		return wire.NewProblem(http.StatusMethodNotAllowed, "unknown_verb",
			fmt.Sprintf("router %s has no %s of many rows: it has no transaction to store all of them or none", e.name, m.Verb))
	case m.Base != nil:
		return wire.NewProblem(http.StatusBadRequest, "malformed_message", "base: each row of data has its own").Field("base", "each row of data has its own")
	case m.Version != nil:
		return wire.NewProblem(http.StatusBadRequest, "malformed_message", "version: each row of data has its own").Field("version", "each row of data has its own")
	}
	return nil
}

// bulk runs create, update or delete of many rows: all, or none. All are prepared before the first is stored, so that one answer
// says what is wrong with each.
func (e *endpoint) bulk(ctx context.Context, m wire.Message) (answer, error) {
	items, err := e.items(m)
	if err != nil {
		return nil, err
	}
	var done []stored
	if len(items) > 0 {
		merges := slices.ContainsFunc(items, func(i item) bool { return i.base != nil })
		err = e.merging(merges, func() error {
			return e.transact(ctx, func(ctx context.Context) (err error) {
				done, err = e.storeAll(ctx, m.Verb, items)
				return err
			})
		})
	}
	var row *rowError
	if errors.As(err, &row) {
		err = refuse(row.index, e.conflict(ctx, m.Verb, items[row.index], err))
	}
	if err != nil {
		return nil, err
	}
	return func(at broker.Position) wire.Answer {
		if m.Verb == "delete" {
			return wire.Answer{}
		}
		rows := make([]*stored, len(done))
		for i := range done {
			rows[i] = &done[i]
		}
		if !e.completeStored(ctx, rows) {
			return wire.Answer{}
		}
		return wire.Answer{Listing: &wire.Listing{Rows: e.joinStored(done, e.cursor(at))}}
	}, nil
}

// storeAll prepares all rows, then stores them.
func (e *endpoint) storeAll(ctx context.Context, verb string, items []item) ([]stored, error) {
	by, err := e.rights(ctx)
	if err != nil {
		return nil, err
	}
	stores := make([]store, len(items))
	var refused refusals
	for i, row := range items {
		if stores[i], err = e.prepare(ctx, verb, by, row); err != nil {
			if err = refused.add(i, err); err != nil {
				return nil, err
			}
		}
	}
	if refused.problem != nil {
		return nil, refused.problem
	}
	done := make([]stored, len(items))
	for i, store := range stores {
		if done[i], err = e.store(ctx, verb, by, store); err != nil {
			return nil, &rowError{i, err}
		}
	}
	return done, nil
}

// joinStored returns rows as they stand in an answer, with null for one that the caller may not see.
func (e *endpoint) joinStored(rows []stored, cursor string) []byte {
	b := []byte{}
	for i, row := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		if row.visible {
			b = e.appendRow(b, row.view, row.object, cursor)
		} else {
			b = append(b, null...)
		}
	}
	return b
}

// items reads the rows of a call. What is wrong with one of them stays with it; the error concerns all.
func (e *endpoint) items(m wire.Message) ([]item, error) {
	var rows []json.RawMessage
	if err := json.Unmarshal(m.Data, &rows); err != nil {
		return nil, wire.NewProblem(http.StatusBadRequest, "malformed_message", "data: want an array of rows, got what is not JSON")
	}
	if most := e.hub.options.MaxBulk; len(rows) > most {
		return nil, wire.NewProblem(http.StatusUnprocessableEntity, "bulk_too_large", fmt.Sprintf("data: %d rows are too many, a call may write %d", len(rows), most))
	}
	items := make([]item, len(rows))
	seen := map[Key]int{}
	for i, data := range rows {
		if m.Verb == "create" {
			items[i].data = data
			continue
		}
		items[i] = parseItem(data, m.Verb == "update")
		key, problem := e.parseKey(items[i].key)
		if problem != nil || items[i].problem != nil {
			continue // it is said later
		}
		if first, twice := seen[key]; twice {
			message := fmt.Sprintf("row %d has this key already", first)
			items[i].problem = wire.NewProblem(http.StatusUnprocessableEntity, "duplicate_key", "key: "+message).Field("key", message)
		}
		seen[key] = i
	}
	return items, nil
}

// parseItem reads one row of an update or a delete: its key, the version that the writer saw and, for an update, the fields.
func parseItem(data json.RawMessage, update bool) (i item) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		i.problem = wire.NewProblem(http.StatusBadRequest, "malformed_message", "want an object with a key, got "+describe(data))
		return i
	}
	i.version, i.data, i.base = members["version"], members["data"], members["base"]
	for _, name := range slices.Sorted(maps.Keys(members)) {
		known := name == "key" || name == "version" || (name == "data" || name == "base") && update
		if !known && i.problem == nil {
			i.problem = wire.NewProblem(http.StatusBadRequest, "malformed_message", fmt.Sprintf("a row has no member %q here", clip(name)))
		}
	}
	if err := json.Unmarshal(members["key"], &i.key); i.problem == nil && (err != nil || i.key == "") {
		i.problem = wire.NewProblem(http.StatusBadRequest, "malformed_message", "key: want a string, got "+describe(members["key"])).Field("key", "want a string")
	}
	return i
}

// rowError says which row of a call could not be stored.
type rowError struct {
	index int
	err   error
}

func (e *rowError) Error() string { return fmt.Sprintf("row %d: %v", e.index, e.err) }
func (e *rowError) Unwrap() error { return e.err }

// refuse returns an error with the row that it is about in its fields.
func refuse(index int, err error) error {
	var r refusals
	if err := r.add(index, err); err != nil {
		return err
	}
	return r.problem
}

// refusals collects what is wrong with the rows of a call: the first one's problem, with the fields of all, as "1.title". Row 1 as
// such is the field "1".
type refusals struct{ problem *wire.Problem }

// add notes why a row is refused. It returns the error if the caller may not be told of it.
func (r *refusals) add(index int, err error) error {
	var p *wire.Problem
	if !errors.As(asProblem(err), &p) {
		return err
	}
	if r.problem == nil {
		first := *p
		first.Errors = nil
		r.problem = &first
	}
	row := strconv.Itoa(index)
	if len(p.Errors) == 0 {
		message := p.Detail
		if message == "" {
			message = p.Code
		}
		r.problem.Field(row, message)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Errors)) {
		field := row
		if name != "" {
			field += "." + name
		}
		for _, message := range p.Errors[name] {
			r.problem.Field(field, message)
		}
	}
	return nil
}
