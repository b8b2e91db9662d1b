package live

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// tired is a broker that takes small entries, and not many.
type tired struct {
	broker.Broker
	takes int
}

func (b *tired) Append(ctx context.Context, data []byte) (broker.Position, error) {
	if strings.Count(string(data), `"key"`) > 1 {
		return broker.Position{}, broker.ErrTooLarge
	}
	if b.takes--; b.takes < 0 {
		return broker.Position{}, errors.New("the disk is full")
	}
	return b.Broker.Append(ctx, data)
}

func TestWhatTheLogDidNotTakeIsKept(t *testing.T) {
	things := &Router[fine]{Name: "things", Scope: Everyone}
	things.Create = func(ctx context.Context, _ fine) (fine, error) {
		for i := 1; i < 4; i++ {
			if err := things.Created(ctx, fine{i}); err != nil {
				return fine{}, err
			}
		}
		return fine{4}, nil
	}
	log := &tired{memory.New(memory.Options{}), 1}
	hub := New(Options{Broker: log, Logger: slog.New(slog.DiscardHandler)})
	defer hub.Shutdown(t.Context())
	hub.Register(things)
	_, at, err := app{hub}.Call(t.Context(), wire.Message{Type: wire.Call, Router: "things", Verb: "create", Data: json.RawMessage("{}")})
	var unsent *unsentError
	if !errors.As(err, &unsent) || !errors.Is(err, session.ErrUnavailable) || !at.IsZero() {
		t.Fatalf("at %v, %v", at, err)
	}
	var keys []string
	for _, e := range unsent.rest {
		for _, c := range e.Changes {
			keys = append(keys, c.Key)
		}
	}
	if got := strings.Join(keys, " "); got != "2 3 4" {
		t.Errorf("left over: %s", got)
	}
	log.takes = 10
	var last broker.Position
	for _, e := range unsent.rest {
		if last, err = hub.append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	answer := unsent.answer(last)
	if want := `{"key":"4","version":"` + last.String() + `","fields":{"a":4}}`; string(answer.Row) != want {
		t.Errorf("answered %s, want %s", answer.Row, want)
	}
}

func TestHalvesKeepTheOrder(t *testing.T) {
	for changes := range 5 {
		for messages := range 5 {
			e := record.Entry{Changes: make([]record.Change, changes), Messages: make([]record.Message, messages)}
			for i := range e.Changes {
				e.Changes[i].Key = string(rune('a' + i))
			}
			for i := range e.Messages {
				e.Messages[i].Channel = string(rune('A' + i))
			}
			if size(e) < 2 {
				continue
			}
			first, second := halves(e)
			if size(first) == 0 || size(second) == 0 || spell(first)+spell(second) != spell(e) {
				t.Errorf("%s is split into %s and %s", spell(e), spell(first), spell(second))
			}
		}
	}
}

func spell(e record.Entry) (text string) {
	for _, c := range e.Changes {
		text += c.Key
	}
	for _, m := range e.Messages {
		text += m.Channel
	}
	return text
}
