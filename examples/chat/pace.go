package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/swampline/live"
)

// A person may write paceBurst messages at once, and then one in each paceEvery. It stands in the database, so it is the same on all
// nodes: paced_to is the time until which what was written counts, and a bucket that is full again is a time that has passed.
const (
	paceEvery = time.Second
	paceBurst = 20
)

// pace counts a message of a person, or refuses it when he is too fast. It belongs into the transaction that stores the message.
func (s *store) pace(ctx context.Context, person int64) error {
	now, every := time.Now().UnixMilli(), paceEvery.Milliseconds()
	counted, err := s.in(ctx).ExecContext(ctx, "UPDATE people SET paced_to = max(paced_to, ?1) + ?2 WHERE id = ?3 AND max(paced_to, ?1) + ?2 - ?1 <= ?4",
		now, every, person, paceBurst*every)
	if err != nil {
		return err
	}
	if n, err := counted.RowsAffected(); err != nil || n > 0 {
		return err
	}
	full, err := s.number(ctx, "SELECT paced_to FROM people WHERE id = ?", person)
	if err != nil {
		return err
	}
	wait := (full + every - paceBurst*every - now + 999) / 1000
	return &live.Error{Code: "too_fast", Status: http.StatusTooManyRequests, Detail: fmt.Sprintf("You are faster than the others can read. Send it again in %s.", seconds(wait))}
}

func seconds(n int64) string {
	if n <= 1 {
		return "a second"
	}
	return fmt.Sprintf("%d seconds", n)
}
