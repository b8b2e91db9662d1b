// Package pgbroker is a broker whose log is a table in PostgreSQL (13 or newer), best in the application's own database.
//
// Choose it when the application has PostgreSQL already and its changes should go live exactly if they are committed: AppendTx
// writes the entry in the transaction that writes the rows, so that no crash comes between them. It carries some thousands of
// entries a second; what needs more, or should not burden the database, is better off with a log of its own (Redis, NATS).
//
// # What it promises
//
// All that package broker says, with these additions. An entry whose transaction committed is on the log for as long as PostgreSQL
// keeps what it committed: with synchronous_commit off, or after a fail-over to a replica that lagged, the newest may be lost.
// Nobody takes the log that came out of it for the old one: a follower whose position the log lost is told
// [broker.ErrExpired], for each position holds 20 random bits besides its place in the order; and the first instance that finds that
// an entry which it saw is gone makes a new epoch. What is deleted from the table by hand, truncated, or restored
// from a dump is told as [broker.ErrExpired] too, never passed over.
//
// A hub whose Broker this is stores what is published within live.Tx, or Tx of this package, in that transaction. So the log must be in
// the database that these transactions are of; where it is in another one, set Outbox of live's Options to an outbox in theirs.
//
// # The order
//
// A sequence does not do as the order of a log in a table: numbers are drawn in one order and committed in another, so a reader that
// has seen number 7 and asks for what is greater never sees 6, which is committed a moment later. Here each row holds the
// transaction that wrote it (xid: the id of the outermost one, also within savepoints) and a number within it (seq), and a reader is
// given only rows of which
//
//	xid < pg_snapshot_xmin(pg_current_snapshot())
//
// in the order of (xid, seq). Let S be the snapshot of one such read and m its xmin. By definition every transaction below m has ended
// when S is taken, and ids are given out in increasing order under one lock, so whoever is given one later gets one of at least m.
// So the rows below m are final: none of them is still to come. For a later snapshot S' with m' ≥ m, what is readable in S is exactly what is
// readable in S' and lies below m: a prefix, but for what was trimmed. A reader that has read up to some (xid, seq) in S therefore loses
// nothing when it goes on after it in S', whichever connection or instance reads. Rows of one transaction are readable all at once, and in
// the order in which they were written, as one session draws increasing numbers.
//
// The argument needs the rows and the xmin to be of one snapshot, and two statements do not have one snapshot (they do not in READ COMMITTED,
// the default). So all that a read depends on is asked in one statement: the epoch, the newest trimmed position, whether the
// position that is followed is there, the xmin and the rows.
//
// The price: an entry is readable once every transaction that began to write before it has ended, of all databases of the server. A
// transaction that holds its id open for ten seconds delays what is committed meanwhile by up to ten seconds; it loses and reorders nothing. Such
// are long updates, transactions that were prepared for two-phase commit and forgotten, and "idle in transaction" after a write:
// set idle_in_transaction_session_timeout. A transaction that only reads, be it pg_dump, delays nothing.
//
// # Forgetting
//
// Entries beyond the bounds of [Options] are deleted in batches, oldest first, by one instance at a time, while one follows or, where none
// does, within Append. What is not readable yet is never trimmed. A trigger on the table notes the newest position that was deleted in
// the deleting transaction, whoever deletes; it makes a new epoch instead when the table was truncated, or what was deleted was not
// readable yet.
//
// # Waking
//
// NOTIFY only wakes followers that wait, and carries nothing. A follower also looks by itself: soon after it was given something,
// then ever more rarely, up to Options.Poll. As PostgreSQL lets only one transaction with a notification commit at a time, Append notifies
// at most every few milliseconds, and who follows looks as often by itself then. AppendTx cannot know when its transaction commits, so it
// always notifies, unless Options.NoNotify says to poll only: do so when thousands of such transactions commit each second.
//
// # PgBouncer
//
// All but LISTEN works through PgBouncer in transaction mode: no named statement, no session lock, no SET. For LISTEN name a way
// around it in Options.Listen; without one, nothing arrives there, and followers poll. An application that uses pgx beside
// PgBouncer sets its own pool's DefaultQueryExecMode to [pgx.QueryExecModeExec].
//
// # Limits
//
// The tables must be on a server that takes writes; a replica cannot be followed. The role needs INSERT, SELECT and DELETE on the log, SELECT, INSERT and
// UPDATE on its meta table and USAGE on its sequence, and CREATE in the schema unless Options.NoCreate is set. Rows must not be updated, and
// nothing but the data column be inserted.
package pgbroker
