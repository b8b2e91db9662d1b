package live

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/swampline/live/broker"
	"github.com/swampline/live/internal/once"
	"github.com/swampline/live/internal/record"
	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/internal/wire"
)

// remembered is how long the hub remembers what a write came to.
const remembered = 10 * time.Minute

// outcome is what a write came to.
type outcome struct {
	answer wire.Answer
	at     broker.Position
	// rest is what the log has yet to be told, nil when it was; say then words the answer.
	rest []record.Entry
	say  answer
}

// writes reports whether a message may change something.
func writes(m wire.Message) bool {
	return m.Type == wire.Publish || m.Type == wire.Call && m.Verb != "list" && m.Verb != "get"
}

// once does a write that its client has named, if it was not done before.
func (a app) once(ctx context.Context, m wire.Message) (answer wire.Answer, at broker.Position, err error) {
	mutation, err := uuid.Parse(m.Mutation)
	if err != nil {
		return answer, at, wire.NewProblem(http.StatusBadRequest, "malformed_message", "mutation: want a UUID").Field("mutation", "want a UUID")
	}
	first, retried, problem := m.Retried()
	if problem != nil {
		return answer, at, problem
	}
	who, err := a.hub.identity(ctx)
	if err != nil {
		return answer, at, err
	}
	id := once.ID{Who: who, Mutation: mutation.String()}
	done, state, err := a.hub.memory.Begin(ctx, id, printOf(m))
	switch {
	case errors.Is(err, once.ErrReused):
		return answer, at, wire.NewProblem(http.StatusUnprocessableEntity, "mutation_reused",
			"this mutation was used for another write: draw a new UUID for each").Field("mutation", "was used for another write")
	case err != nil:
		return answer, at, err
	case state == once.Done:
		if note, ok := a.hub.memory.Seen(noteOf(mark(who), id.Mutation)); ok && done.answer.Unsent { // it is on the log by now
			done.answer.Unsent, done.at = false, note.At
		}
		return done.answer, done.at, nil
	case state == once.Half:
		return a.complete(ctx, id, done.rest, done.say)
	}
	kept := false
	defer func() {
		if !kept { // it failed, or panicked
			a.hub.memory.Forget(id)
		}
	}()
	known := false
	by := mark(who)
	if answer, at, known, err = a.elsewhere(ctx, m, noteOf(by, id.Mutation), first, retried); err != nil {
		return answer, at, err
	}
	if !known {
		answer, at, known, err = a.run(ctx, m, by)
	}
	var unsent *unsentError
	switch {
	case errors.As(err, &unsent):
		kept = true
		a.hub.memory.Suspend(id, outcome{rest: unsent.rest, say: unsent.answer})
		return answer, at, err
	case err != nil:
		return answer, at, err
	case at.IsZero() && !known: // it published nothing: the other nodes must learn from the log that it was done
		kept = true
		return a.complete(ctx, id, []record.Entry{{Mutation: id.Mutation, By: by}}, func(broker.Position) wire.Answer { return answer })
	}
	kept = true
	a.hub.memory.Finish(id, outcome{answer: answer, at: at})
	return answer, at, nil
}

// complete tells the log what it has yet to be told of a write that was done, and remembers its answer.
func (a app) complete(ctx context.Context, id once.ID, rest []record.Entry, say answer) (answer wire.Answer, at broker.Position, err error) {
	late := false
	for len(rest) > 0 {
		appending, cancel := regardless(ctx)
		p, err := a.hub.append(appending, rest[0])
		cancel()
		told := size(rest[0]) > 0
		rest = rest[1:]
		if err != nil {
			var unsent *unsentError
			if errors.As(err, &unsent) {
				rest = slices.Concat(unsent.rest, rest)
			}
			a.hub.memory.Suspend(id, outcome{rest: rest, say: say})
			return answer, at, fmt.Errorf("live: publishing: %w", err)
		}
		if told {
			at, late = p, p.IsZero() // if it need not wait, nothing before it does
		}
	}
	answer = say(at)
	answer.Unsent = late
	a.hub.memory.Finish(id, outcome{answer: answer, at: at})
	return answer, at, nil
}

// elsewhere finds out whether another node did a write, or this one long ago: the log tells. Of one that was sent before it must be
// certain either way.
func (a app) elsewhere(ctx context.Context, m wire.Message, mutation string, first broker.Position, retried bool) (answer wire.Answer, at broker.Position, known bool, err error) {
	if retried {
		if err := a.hub.relayed(ctx); err != nil {
			return answer, at, false, err
		}
		if err := a.hub.engine.CatchUp(ctx); err != nil {
			return answer, at, false, err
		}
	}
	note, known := a.hub.memory.Seen(mutation)
	covers := true
	if !known && retried {
		// The log may have been another one since, which knew of it.
		if covers = a.hub.memory.Covers(first); covers {
			if covers, err = a.hub.engine.Holds(ctx, first); err != nil {
				return answer, at, false, fmt.Errorf("%w: %w", session.ErrUnavailable, err)
			}
		}
	}
	switch {
	case !covers:
		return answer, at, false, wire.NewProblem(http.StatusConflict, "unknown_outcome",
			"whether this was done when it was sent before, nobody knows any more: look, and send it as a new one if it was not")
	case !known:
		return answer, at, false, nil
	}
	key := m.Key
	if m.Verb == "create" {
		key = ""
		for _, row := range note.Rows {
			if row.Router == m.Router {
				key = row.Key
				break
			}
		}
	}
	if key != "" && !isBulk(m) && (m.Verb == "create" || m.Verb == "update") {
		answer, err = a.present(ctx, m.Router, key)
	}
	return answer, note.At, err == nil, err
}

// present is a row as it is now and as the caller may see it, if he may and if it is there.
func (a app) present(ctx context.Context, router, key string) (wire.Answer, error) {
	e, err := a.endpoint(router)
	if err != nil || e.verbs.get == nil {
		return wire.Answer{}, err
	}
	answer, _, _, err := a.run(ctx, wire.Message{Type: wire.Call, Router: router, Verb: "get", Key: key}, "")
	var p *wire.Problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound {
		return wire.Answer{}, nil
	}
	return answer, err
}

// printOf tells a write from others: what it does, to what, with what.
func printOf(m wire.Message) once.Print {
	var data bytes.Buffer
	if json.Compact(&data, m.Data) != nil {
		data.Reset()
		data.Write(m.Data)
	}
	text, _ := json.Marshal([]string{m.Type, m.Router, m.Channel, m.Verb, m.Key, data.String()}) // strings always marshal
	return sha256.Sum256(text)
}

// mark tells a caller from others on the log, without his name. Changes carry their mutation to whoever sees them, and who says it as
// his own must not be taken for the one who did.
func mark(who string) string {
	if who == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(who))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// noteOf names a mutation as the log tells of it: with whose it is.
func noteOf(by, mutation string) string { return by + " " + mutation }

// note remembers which writes an entry of the log tells of.
func (h *Hub) note(at broker.Position, e *record.Entry) {
	h.memory.Note(at, "", nil)
	if e.Mutation != "" {
		h.noteOne(at, e.By, e.Mutation, nil)
	}
	for _, c := range e.Changes {
		if c.Mutation != "" {
			h.noteOne(at, e.By, c.Mutation, []once.Row{{Router: c.Router, Key: c.Key}})
		}
	}
}

func (h *Hub) noteOne(at broker.Position, by, mutation string, rows []once.Row) {
	if id, err := uuid.Parse(mutation); err == nil { // clients may spell it as they like
		h.memory.Note(at, noteOf(by, id.String()), rows)
	}
}
