package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/pgbroker"
	"github.com/swampline/live/pgsource"
)

// log returns where the hub keeps its log. With PostgreSQL it is a table of the shop's own database: what a transaction publishes is written in
// that transaction, so that it is on the log if and only if the rows are stored, and every shop on this database follows the same log. With
// SQLite there is one process, and it keeps the log in its memory, as live does without a broker.
func (s *store) log(logger *slog.Logger) broker.Broker {
	if s.pool == nil {
		return nil
	}
	return pgbroker.New(s.pool, pgbroker.Options{Logger: logger})
}

// capture returns what publishes, while it runs, what anybody else writes to the table of products: psql, a script at night. From now on the
// shop's own transactions say that they publish themselves.
func (s *shop) capture(ctx context.Context, logger *slog.Logger) (*pgsource.Source, error) {
	if s.store.pool == nil {
		return nil, errors.New("-capture needs PostgreSQL, in which triggers note what others write")
	}
	if _, err := s.store.db.ExecContext(ctx, raiseVersions); err != nil {
		return nil, err
	}
	source, err := pgsource.New(s.store.pool, pgsource.Options{Logger: logger}, pgsource.Table(s.products, "products"))
	if err != nil {
		return nil, err
	}
	s.store.captured = true
	return source, source.Install(ctx)
}

// raiseVersions raises the version for who does not know that there are versions. By it clients know which state of a product is the
// newer one, and nobody overwrites what he has not seen.
const raiseVersions = `
SELECT pg_advisory_xact_lock(7467);
CREATE OR REPLACE FUNCTION raise_version() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.version := OLD.version + 1; RETURN NEW; END';
CREATE OR REPLACE TRIGGER raise_version BEFORE UPDATE ON products
	FOR EACH ROW WHEN (NEW.version = OLD.version) EXECUTE FUNCTION raise_version();
`
