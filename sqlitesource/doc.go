// Package sqlitesource publishes what this process changes in a SQLite database, whichever code does it: connections that a
// [Source] opens, with modernc.org/sqlite, note the keys of the rows that each statement changes, and after the commit the routers are told.
//
//	source := sqlitesource.New(sqlitesource.Options{})
//	db, err := source.Open("app.db")
//	… hub.Register(todos) …
//	err = source.Capture(ctx, db, sqlitesource.Table(todos, "todos"))
//	go source.Run(ctx)
//
// # What is published
//
// The rows are loaded anew, by [live.Router.ChangedID]: by the router's own List or Get, in the context that Run is given, which must see all
// rows. So it does not matter how the application makes a row of its columns, and what a savepoint took back is right as well, although SQLite
// does not tell of ROLLBACK TO: a row that was changed and changed back is sent as it is, and one that never came is told to nobody who does not
// hold it. A row that was changed, or is new, is sent in whole, as an enter. When transactions follow each other faster than they can be published, one batch stands for several,
// with the rows as they are by then; a transaction is never split between two batches. Of more than Options.MaxRows rows of a router at once it is told that any row may have changed
// ([live.Router.ChangedWhere]).
//
// # When
//
// SQLite calls its commit hook before the commit, which may still fail; so keys are handed on when the driver's call has returned, and a
// transaction that could not commit is at worst read again for nothing. A ROLLBACK drops them. Publishing runs in Run's goroutine, so no statement
// waits for it, and one goroutine keeps the order: what is read later is published later.
//
// # What is not seen
//
// Changes by other processes, or by connections that the source has not opened; in attached databases and temporary tables; of virtual
// tables; DROP TABLE; and databases that are replaced whole, as by Restore or Deserialize. Tables WITHOUT ROWID,
// DELETE without WHERE, triggers, cascades and rows that INSERT OR REPLACE removes are seen. What was committed and not published when the process ends is lost: an
// application whose log outlives it, on another broker, publishes through an outbox instead.
//
// # Applications that publish themselves
//
// A statement that is run with the context of [Published] is not noted, for code that tells the router itself. Otherwise the row is
// sent twice, or, where it has a version, read twice and sent once.
package sqlitesource
