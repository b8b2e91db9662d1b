package extend

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/livequery"
	"github.com/swampline/live/internal/record"
)

// Log is a hub's log, for who reads it himself.
type Log struct {
	Broker broker.Broker
	Logger *slog.Logger
	// Running ends when the hub has stopped.
	Running context.Context
}

// Rows is what a router's declaration makes of the rows that are on the log.
type Rows[T any] struct {
	Schema *livequery.Schema
	View   *livequery.View
	// Key is the name of the key's field, and KeyJSON the JSON of a key's text.
	Key     string
	KeyJSON func(key string) json.RawMessage
	// Part is a row with the fields that predicates can use; all others are zero.
	Part func(fields record.Fields) (T, error)
}
