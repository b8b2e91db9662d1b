// Package livebun publishes what an application writes with bun, so that model code needs not call its routers:
//
//	hook := livebun.New(hub)
//	db := bun.NewDB(sqldb, pgdialect.New()).WithQueryHook(hook)
//	…
//	err := hook.RunInTx(ctx, db, nil, func(ctx context.Context, tx bun.Tx) error {
//		_, err := tx.NewUpdate().Model(&todo).WherePK().Exec(ctx)
//		return err
//	})
//
// Every row that NewInsert, NewUpdate and NewDelete write, of a type for which the hub has a router, is published when its transaction has
// committed, all of a transaction as one entry of the log, and not at all if it is rolled back, be it to a savepoint. With an outbox, see
// live.Options, the entry is stored in the transaction itself, right before COMMIT.
//
// Bun does not let a hook see how its own transactions end, nor write in them before they do. Therefore a write of a type that has a router
// fails with [ErrUnseen], and nothing is written, in a transaction of bun's own RunInTx or BeginTx, in one that the application made
// itself, and on a bun.Conn. What works is [Hook.RunInTx]; live.Tx on the same *sql.DB, with Conn(tx) on each query; and a write in no transaction,
// which gets one of its own. Within Hook.RunInTx savepoints may be made in any way, by Hook.RunInTx, by tx.RunInTx and tx.BeginTx, or with SQL, as long
// as they are given a ctx of the transaction.
//
// # How rows are published
//
// As the database holds them, so each write costs more: an insert one SELECT by primary key, after it; an update one before it, with its own
// WHERE, and one after it; a delete one before it. On PostgreSQL the SELECT before locks its rows, so that they are what the write finds. Types without a
// router cost nothing. A soft delete is a delete to subscribers, and its end a create. An insert with ON CONFLICT is published as Router.Changed does.
//
// A statement is published as a change of any row, as by ChangedWhere(ctx, where.Where{}), so that each subscription loads its list anew, if it writes
// more than [Hook].MaxRows rows, or if it cannot be known which: with a subquery or random() in its WHERE, with further tables, ORDER BY or LIMIT, REPLACE,
// MERGE, TRUNCATE, an ON CONFLICT that does not return the primary key, or when it wrote another number of rows than were read before
// it. So does all but inserts on other databases than PostgreSQL and SQLite, of which no tests were made here. Where the application knows
// better it writes with [Skip], and tells the router itself.
//
// # What is not seen
//
//   - Raw SQL: NewRaw, ExecContext, and SELECT with a WITH that writes.
//   - Writes without a model, of a map, or of another Go type than the router's; and to another table than the type's own.
//   - Which rows a statement writes whose WHERE calls a volatile function of your own: it is asked twice.
//   - What the database does by itself: cascades, triggers that write other rows.
//   - Writes by a *bun.DB without the hook. WithQueryHook returns one that has it.
//
// For these the application tells the router, with the ctx of the transaction; or see pgsource.
//
// What is published by hand goes with the ctx of Hook.RunInTx, which knows the savepoints that it makes. In bun's own tx.RunInTx, which passes on a ctx of the
// whole transaction, what is published by hand is not dropped when only the savepoint is rolled back.
//
// A router's List and Get read with [Hook.In], as publishing may call them within a transaction.
//
// On SQLite a transaction that reads before it writes fails with "database is locked" where another one writes meanwhile, unless it takes the
// lock at once: use _txlock=immediate, or one connection. Writes ignore a bun.ConnResolver: they go to the DB's own pool.
package livebun
