// Package livegorm publishes what an application writes with GORM, so that model code needs not call its routers:
//
//	db, err := gorm.Open(postgres.Open(dsn), &gorm.Config{})
//	…
//	err = db.Use(livegorm.New(hub))
//
// From then on every row that is created, updated or deleted through db, of a type for which the hub has a router, is published when the
// outermost transaction has committed, all of a transaction as one entry of the log, and not at all if it is rolled back. What is undone by
// rolling back to a savepoint, or by an inner Transaction that fails or panics, is not published either. With an outbox, see live.Options, the entry
// is stored in GORM's own transaction, right before COMMIT.
//
// # What is seen
//
// Create, CreateInBatches, Save, FirstOrCreate, Update, Updates, UpdateColumn, Delete, upserts with clause.OnConflict, associations, and what hooks write;
// with PrepareStmt and SkipDefaultTransaction or without; savepoints by whatever way they are made. A soft delete is a delete to
// subscribers, and making deleted_at null again a create.
//
// Rows are published as the database holds them, so each write of a model that has a router costs more: a create one SELECT by primary key, after
// it; a delete one with its own conditions, before it; an update both. On PostgreSQL and MySQL the SELECT before it locks its rows, so that
// they are what the write finds. A write in no transaction gets one of its own, be it that SkipDefaultTransaction is set, for these statements to be one. Models
// without a router cost nothing. The SELECTs call the hook AfterFind, but preload nothing: the router's List must not either, rows within rows are for
// its Nested fields.
//
// A statement that writes more than [Plugin].MaxRows rows, or of which it cannot be known which rows it wrote, says that any row of its model may have changed, as
// ChangedWhere does with where.Where{}: each subscription loads its list anew. Where the application knows better, it writes with [Skip], and calls ChangedWhere
// or ChangedID of its router itself, with [Context].
//
// # What is not seen
//
//   - Raw SQL, as with Exec or Raw, but for SAVEPOINT, ROLLBACK TO and RELEASE, each a statement by itself, of a name without spaces or comments.
//   - Writes to another table than the model's own, as with Table("archive"), or through another Go type than the router's.
//   - What the database does by itself: cascades, triggers that write other rows.
//   - Writes past db: with its *sql.DB, or with sessions of it that were made before Use.
//
// For these the application tells the router, after its write, with [Context]; or see pgsource.
//
// # Transactions
//
// GORM runs its callbacks before COMMIT, so the plugin stands in the place of the pool of connections. Plugins that replace this, such as one that resolves
// replicas, come before it. In a transaction that the plugin did not see begin (that of a *sql.Conn, as within db.Connection, or of a
// *sql.Tx that the application made, but for live.Tx) a write of a model that has a router fails with [ErrUnseen].
//
// An error of a write may come from publishing, too: it then is as if the database had refused it. One of a commit that wraps live.ErrUnpublished says that
// it committed.
//
// It is tested with SQLite and PostgreSQL; MySQL's ways are considered (an upsert of rows without keys is a change of any row there), but not tested.
//
// On SQLite a transaction that reads before it writes fails with "database is locked" where another one writes meanwhile, unless it takes the lock at
// once: use _txlock=immediate, or one connection.
package livegorm
