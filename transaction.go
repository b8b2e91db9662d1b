package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// item is one row of a call that writes, as the client sent it.
type item struct {
	key           string
	version, data json.RawMessage
	base          json.RawMessage // what the writer saw of what he writes, nil when he does not say
	problem       *wire.Problem   // what is wrong with its form
}

// stored is a row as it was stored.
type stored struct {
	object  record.Object
	view    *view
	visible bool // to the caller
}

// write runs create, update or delete of one row.
func (e *endpoint) write(ctx context.Context, m wire.Message) (done stored, err error) {
	row := item{key: m.Key, version: m.Version, data: m.Data, base: m.Base}
	err = e.merging(row.base != nil, func() error {
		return e.transact(ctx, func(ctx context.Context) error {
			by, err := e.rights(ctx)
			if err != nil {
				return err
			}
			store, err := e.prepare(ctx, m.Verb, by, row)
			if err != nil {
				return err
			}
			done, err = e.store(ctx, m.Verb, by, store)
			return err
		})
	})
	if err != nil {
		return stored{}, e.conflict(ctx, m.Verb, row, err)
	}
	return done, nil
}

// written runs create, update or delete of one row, and answers with it.
func (e *endpoint) written(ctx context.Context, m wire.Message) (answer, error) {
	done, err := e.write(ctx, m)
	if err != nil {
		return nil, err
	}
	return func(at broker.Position) wire.Answer {
		if !done.visible || !e.completeStored(ctx, []*stored{&done}) {
			return wire.Answer{}
		}
		o := done.object
		return wire.Answer{Row: e.appendRow(nil, done.view, o, e.cursor(at)), Key: o.Key, Version: o.Version}
	}, nil
}

// prepare does all of a verb that can refuse a row.
func (e *endpoint) prepare(ctx context.Context, verb string, by rights, i item) (store, error) {
	if i.problem != nil {
		return nil, i.problem
	}
	var row any
	if verb != "create" {
		loaded, o, err := e.find(ctx, by, verb, i.key)
		if err != nil {
			return nil, err
		}
		if i.base == nil {
			err = e.checkVersion(ctx, by, i.version, o)
		} else {
			err = e.checkBase(ctx, by, i, loaded, o)
		}
		if err != nil {
			return nil, err
		}
		row = loaded
	}
	return e.verbs.writing(verb)(ctx, by.view, row, i.data, e.within(by.scope))
}

// store stores a row that was prepared.
func (e *endpoint) store(ctx context.Context, verb string, by rights, store store) (stored, error) {
	o, err := store(ctx)
	if err != nil || verb == "delete" {
		return stored{}, err
	}
	visible, err := e.matches(by.scope, o)
	return stored{o, by.view, visible}, err
}

// completeStored adds to rows that were stored what their view shows beside the model's own fields. It reports false, and logs why, when that
// cannot be had: the rows are stored and published all the same, so the caller is answered without them.
func (e *endpoint) completeStored(ctx context.Context, rows []*stored) bool {
	objects := make([]*record.Object, 0, len(rows))
	var v *view
	for _, row := range rows {
		if row.visible {
			objects, v = append(objects, &row.object), row.view
		}
	}
	if len(objects) == 0 {
		return true
	}
	var err error
	func() {
		defer e.hub.guard(&err, inVerb)
		err = e.verbs.complete(ctx, v.View, objects)
	}()
	if err != nil {
		e.log(ctx, "live: what a stored row nests cannot be loaded", err)
	}
	return err == nil
}

// cursor is the version of a row that has none: the position of its change, or, if it caused none, that of the hub.
func (e *endpoint) cursor(at broker.Position) string {
	if at.IsZero() {
		at = e.hub.engine.Position()
	}
	return at.String()
}

// transact runs do in the router's transaction, if it has one. What a run of do publishes counts if it was the last one and
// succeeded, and the transaction with it. Where that is a Transaction, what is published is part of it.
func (e *endpoint) transact(ctx context.Context, do func(context.Context) error) error {
	if e.tx == nil {
		return e.untied(ctx, do)
	}
	var run *batch
	defer func() {
		if run != nil {
			run.abandon(ctx) // a panic of Tx, too
		}
	}()
	result := fmt.Errorf("live: router %s: Tx returned without calling what it was given", e.name)
	err := e.tx(ctx, func(tied context.Context) (err error) {
		if run != nil {
			run.abandon(ctx)
		}
		var inside bool
		run, inside = e.runIn(ctx, tied)
		defer func() {
			if p := recover(); p != nil { // so that it is an error to Tx, too, which may not expect a panic
				err = session.NewPanicError(p)
			}
			if inside && err != nil {
				run.abandon(ctx) // before the transaction ends
			}
			result = err
		}()
		if err = do(run.in(tied)); err == nil && inside {
			_, err = run.commit(ctx)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case result != nil: // and Tx has hidden it
		return result
	}
	_, err = run.commit(ctx)
	return err
}

// runIn begins the batch of one run in the context that Tx has given, which is made of ctx, or should be. Inside says that it is part of a
// Transaction that Tx began: then it must be committed before that ends.
func (e *endpoint) runIn(ctx, tied context.Context) (run *batch, inside bool) {
	t := transactionOf(tied)
	if t == nil || t == transactionOf(ctx) || t.over() {
		_, run = e.hub.begin(ctx)
		return run, false
	}
	return e.hub.batchUnder(t.batch(e.hub, e.hub.batchOf(ctx)), t), true
}

// untied runs do without a transaction: when After panics, what was stored stays stored, and who follows it must know.
func (e *endpoint) untied(ctx context.Context, do func(context.Context) error) error {
	err := do(ctx)
	var after *afterError
	if errors.As(err, &after) {
		_, lost := e.hub.batchOf(ctx).commit(ctx)
		return errors.Join(err, lost)
	}
	return err
}
