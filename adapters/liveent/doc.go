// Package liveent publishes what an application writes with ent, so that model code needs not call its routers:
//
//	driver := liveent.New(hub, entsql.OpenDB(dialect.Postgres, db))
//	client := ent.NewClient(ent.Driver(driver))
//	client.Use(driver.Hook())
//
// Every node that is created, updated or deleted through client, of a type for which the hub has a router (of ent.Todo, that is *live.Router[ent.Todo]), is
// published when its transaction has committed, all of a transaction as one entry of the log, and not at all if it is rolled back, be it to a savepoint. With an outbox, see
// live.Options, the entry is stored in the transaction itself, right before COMMIT. Transactions are those of client.Tx and client.BeginTx, as ever, or of [Driver.RunInTx],
// whose ctx is enough: every client of the driver is in it. A mutation in no transaction gets one of its own.
//
// It takes both, the driver and its hook. With the hook alone a mutation fails with [ErrUnseen]; it is undone if it was in a transaction. With the driver alone nothing is published.
//
// CreateBulk belongs in a transaction. In none, ent gives only the last of its nodes to a hook together with the statement, and nothing by which a hook or a driver could tell that the
// other ones belong to it: these are published after the commit, one by one, each as an entry of its own. A process that dies in between does not
// tell of them, outbox or not, and an error may be of what was to be published, of rows that are committed. Within client.Tx or [Driver.RunInTx] they are one entry, and stored with the rows.
//
// # How nodes are published
//
// As a query of the client returns them, with its interceptors, so each mutation costs more: one SELECT by id after it, and, but for a create, one before it, which locks the
// rows on PostgreSQL and MySQL; for Update and Delete with predicates one or two more for the ids. (The lock needs no feature of ent.) Types without a router cost
// nothing. Edges are not loaded: rows within rows are for the router's Nested fields. A node that no query finds after its update, as where an interceptor
// hides what is deleted softly, is published as deleted.
//
// A mutation is published as a change of any row, as by ChangedWhere(ctx, where.Where{}), so that each subscription loads its list anew, if it writes more than
// [Driver].MaxRows rows, if it wrote others than were read before it, and for each OnConflict. Where the application knows better it writes with [Skip], and
// tells the router itself.
//
// # What is not seen
//
//   - SQL of the application: client.ExecContext, and Modify of a Query.
//   - What the database does by itself: cascades, triggers; and edges to many whose column is in the other table: changing them is an update of
//     the nodes there, of which ent tells no hook.
//   - Writes past the driver.
//
// For these the application tells the router, with the ctx of RunInTx; or see pgsource.
//
// A router's List and Get query with the ctx that they are given, on a client of the driver that is in no transaction: what publishing asks for within a transaction is read in
// it. The column of ids must be called "id", or named in [Driver].IDColumns.
//
// On SQLite a transaction that reads before it writes fails with "database is locked" where another one writes meanwhile, unless it takes the lock at once:
// use _txlock=immediate, or one connection.
package liveent
