package livegorm

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"strings"

	"github.com/swampline/live"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// statement is one that writes rows of a model that has a router.
type statement struct {
	*gorm.DB
	schema *schema.Schema
	model  live.Model
	// maxRows is how many rows of it are published one by one.
	maxRows int
}

// plan reads what must be known before a statement runs, and returns what publishes it afterwards, with a context that belongs to the transaction.
type plan func(s *statement) (tell func(ctx context.Context) error, err error)

// around makes a callback publish what it writes.
func (p *Plugin) around(plan plan) func(next func(*gorm.DB)) func(*gorm.DB) {
	return func(next func(*gorm.DB)) func(*gorm.DB) {
		return func(db *gorm.DB) {
			s, ok := p.statement(db)
			if !ok {
				next(db)
				return
			}
			p.within(db, func(ctx context.Context) {
				tell, err := plan(s)
				if db.AddError(err) != nil {
					return
				}
				db.RowsAffected = 0 // a chain of statements has that of the last one here
				next(db)
				if db.Error == nil && tell != nil {
					rows := db.RowsAffected
					db.AddError(tell(ctx))
					db.RowsAffected = rows
				}
			})
		}
	}
}

// statement returns what a callback is to write, false if nothing of it is to be published.
func (p *Plugin) statement(db *gorm.DB) (*statement, bool) {
	stmt := db.Statement
	if db.Error != nil || db.DryRun || stmt.Schema == nil || stmt.SQL.Len() > 0 || !ofModel(stmt) {
		return nil, false
	}
	if _, skip := db.Get(skipKey); skip || live.Suppressed(stmt.Context) {
		return nil, false
	}
	model, ok := p.hub.Model(reflect.Zero(reflect.PointerTo(stmt.Schema.ModelType)).Interface())
	return &statement{db, stmt.Schema, model, p.MaxRows}, ok
}

// ofModel reports whether a statement is about the table of its model, be it under another name.
func ofModel(stmt *gorm.Statement) bool {
	table := stmt.Table
	if stmt.TableExpr != nil {
		words := strings.Fields(stmt.TableExpr.SQL)
		if len(words) == 0 {
			return false
		}
		table = strings.NewReplacer("`", "", `"`, "", "[", "", "]", "").Replace(words[0])
	}
	return table == stmt.Schema.Table
}

// within runs do in the transaction of the statement, or in one of its own. Do's error is db's.
func (p *Plugin) within(db *gorm.DB, do func(ctx context.Context)) {
	stmt := db.Statement
	if t, ok := transactionOf(stmt.ConnPool); ok {
		do(t.context(stmt.Context, stmt.ConnPool))
		return
	}
	if committer, ok := stmt.ConnPool.(gorm.TxCommitter); ok {
		if !runs(db) {
			db.AddError(fmt.Errorf("%w (%T)", ErrUnseen, committer))
			return
		}
		do(stmt.Context)
		return
	}
	p.wrapStatement(db)
	outer := stmt.ConnPool
	begun := db.Session(&gorm.Session{NewDB: true}).Begin()
	if db.AddError(begun.Error) != nil {
		return
	}
	t, ok := transactionOf(begun.Statement.ConnPool)
	done := false
	defer func() { // a panic, too
		stmt.ConnPool = outer
		if !done {
			begun.Rollback()
		}
	}()
	if !ok {
		db.AddError(fmt.Errorf("%w (%T)", ErrUnseen, begun.Statement.ConnPool))
		return
	}
	stmt.ConnPool = begun.Statement.ConnPool
	do(t.context(stmt.Context, stmt.ConnPool))
	if db.Error == nil {
		done = true
		db.AddError(begun.Commit().Error)
	}
}

// runs reports whether live.Tx runs a transaction in the context of a statement: then what is published with that goes out with it.
func runs(db *gorm.DB) bool {
	tx, ok := unprepared(db.Statement.ConnPool).(*sql.Tx)
	if !ok {
		return false
	}
	pool, err := db.Session(&gorm.Session{NewDB: true}).DB()
	if err != nil {
		return false
	}
	run, ok := live.TxOf(db.Statement.Context, pool)
	return ok && run == tx
}
