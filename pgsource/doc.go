// Package pgsource publishes changes that anybody makes in a PostgreSQL database: psql, a cron job in another language, a bulk
// UPDATE, a foreign key's cascade. Triggers write what changed into a table, in the writer's own transaction, and a runner tells
// the routers of it after the commit:
//
//	source, err := pgsource.New(pool, pgsource.Options{},
//		pgsource.Table(todos, "todos"),
//		pgsource.Table(orders, "shop.orders", pgsource.Columns{"number": "order_no"}),
//	)
//	…
//	go func() { failed <- source.Run(ctx) }()
//
// # What is captured
//
// The columns of the fields that the router's model declares with tags, those for rights included, and nothing else of the row: a
// password hash that has no tag never gets into the table. A field is the column of its name unless [Columns] says otherwise. The
// values are what PostgreSQL prints, and become a T by pgx's own scanning, with the types that the pool's AfterConnect
// registers: so a row is what pgx's rows.Scan would make of it, whatever the type.
//
// The triggers are for whole statements and see all rows of one at once. Up to 1,000 rows that costs about what a trigger for each row
// does, 15 µs a row; an UPDATE of 10,000 rows costs 5 ms more than without, where triggers for rows cost 180 ms. Old and new rows are joined by key; a row whose key was changed is one that went and one that came.
// An update that changes no captured column writes nothing. A statement that changes more rows than Options.MaxRows writes one
// entry, which becomes [live.Router.ChangedWhere] of every row, and so does TRUNCATE: subscribers are sent a new list.
//
// # Order
//
// What one transaction changed is published as one [live.Hub.Batch]. The runner takes all that is committed, transactions in the
// order of their last entries, and deletes what it has published. It does not wait for older transactions that are still open,
// and needs not: an entry is numbered when its row is locked, so of two transactions that changed the same row the one that
// had it later has the later entry, and whoever sees it sees the other. The order of transaction ids would be wrong there.
//
// # Once, or again
//
// Runners of several processes agree by an advisory lock, so one of them works, and another goes on when it or its machine ends. What was published
// and not yet deleted when a runner dies is published again: at most 500 entries, or one transaction that has more. Models with
// a version field drop that: it costs the entries of the log, and no subscriber is told. Without one subscribers see these changes
// twice, an earlier state of a row before the last one. A runner that is cut off from the database stops when it notices, at its next statement: at most that
// many entries may come from it after another one took over.
//
// # Versions
//
// A change that names the version of the one before is dropped as seen. So where the model has a version field, whoever writes must raise
// it, and a psql or a cron job does not know that: let a BEFORE UPDATE trigger do so when the statement did not, as examples/shop has it.
//
// # Applications that publish themselves
//
// What an application tells its router and a trigger captures would be published twice. With a version field the second is dropped, as
// above. Better, the application's own transactions say that they publish:
//
//	tx, err := pool.Begin(ctx)
//	err = pgsource.Published(ctx, tx) // or, in any other client: SET LOCAL live.published = 'on'
//	… UPDATE …
//	err = tx.Commit(ctx)
//	err = todos.Updated(ctx, was, now)
//
// and the triggers write nothing in them.
//
// # In production
//
// The runner needs one connection for itself, for its lock and for LISTEN. Both belong to a session, so it cannot be a connection of
// PgBouncer's in transaction mode: Run finds that out, and ends with an error that says so. Options.Listen is another address for it, and needs no more than that:
//
//	direct, err := pgx.ParseConfig("postgres://…") // PostgreSQL itself
//	source, err := pgsource.New(pool, pgsource.Options{Listen: direct}, …)
//
// Everything else goes through the pool. PostgreSQL 14 or newer is needed.
//
// Roles: who runs the migration needs CREATE on the database (or a Schema that exists), and TRIGGER on the tables; the functions
// run with this role's rights, so that the writers need none. The runner must be that role, or be granted USAGE on the schema and
// SELECT and DELETE on its table.
//
// A function names its columns. Who renames or drops one must install the declaration that goes with it in the same
// transaction ([Source.Migration]), or every write to the table fails until then. A new column is no matter. What the
// triggers do not see: rows that are written to a partition, or to a table that inherits, by its own name; what a session with session_replication_role = replica
// does; and statements of a transaction that set live.published, whoever he is.
//
// If no runner works, as after the application was taken down for good, the table grows: [Source.Drop] prints what removes all
// of it. An own Schema for each application keeps them apart.
package pgsource
