package notify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Those who are away are told by what stands in the table alone, so it does not matter which process wrote a notification, nor which one
// tells of it: whoever finds some that are due takes them for a while (lease), and they are due again if nothing came of it.

// lease is how long one process may try to tell a person before another one does.
const lease = time.Minute

// Run tells those who are away, until ctx ends, whose error it returns. Several processes may run it over one database. Without
// Options.Away it only waits.
func (c *Center) Run(ctx context.Context) error {
	if c.options.Away == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	tick := time.NewTicker(c.options.Poll)
	defer tick.Stop()
	for {
		if err := c.deliver(ctx); err != nil && ctx.Err() == nil {
			c.options.Logger.Error("notifications that are due could not be read", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// deliver goes through all who have something due.
func (c *Center) deliver(ctx context.Context) error {
	people, err := c.due(ctx)
	for _, person := range people {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if c.options.Here(person) {
			err = c.putOff(ctx, person)
		} else {
			err = c.tell(ctx, person)
		}
		if err != nil {
			return err
		}
	}
	return err
}

// due returns who has something due.
func (c *Center) due(ctx context.Context) (people []string, err error) {
	rows, err := c.db.QueryContext(ctx, "SELECT DISTINCT person FROM notifications WHERE due_at <= $1 ORDER BY person", time.Now().UnixMilli())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var person string
		if err := rows.Scan(&person); err != nil {
			return nil, err
		}
		people = append(people, person)
	}
	return people, rows.Err()
}

// putOff leaves somebody in peace who is here: he sees it. Should he go without having read it, he is told then.
func (c *Center) putOff(ctx context.Context, person string) error {
	now := time.Now()
	_, err := c.db.ExecContext(ctx, "UPDATE notifications SET due_at = $1 WHERE person = $2 AND due_at <= $3",
		now.Add(c.options.After).UnixMilli(), person, now.UnixMilli())
	return err
}

// tell takes what is due for a person and hands it to the back end. That it failed is logged, and tried again.
func (c *Center) tell(ctx context.Context, person string) error {
	now := time.Now()
	taken, err := c.query(ctx, "UPDATE notifications SET due_at = $1, tries = tries + 1 WHERE person = $2 AND due_at <= $3 RETURNING "+columns,
		now.Add(lease).UnixMilli(), person, now.UnixMilli())
	if err != nil || len(taken) == 0 { // another process was quicker, or he has read it just now
		return err
	}
	slices.SortFunc(taken, func(a, b Notification) int { return int(a.ID - b.ID) })
	limited, cancel := context.WithTimeout(ctx, lease/2)
	failed := c.options.Away.Deliver(limited, person, taken)
	cancel()

	// What was done is written down even when ctx has ended: the process says goodbye, and nobody is to be told twice.
	ctx = context.WithoutCancel(ctx)
	if failed == nil {
		return c.settle(ctx, taken, "due_at = NULL")
	}
	c.options.Logger.Warn("somebody who is away could not be told", "person", person, "notifications", len(taken), "error", failed)
	// The pause doubles with each try: SQLite shifts as Go does.
	err = c.settle(ctx, taken, fmt.Sprintf("due_at = CASE WHEN tries < %d THEN %d + (%d << (tries - 1)) END",
		c.options.Tries, time.Now().UnixMilli(), c.options.Poll.Milliseconds()))
	return err
}

// settle writes what became of notifications that were taken; those that were read or forgotten meanwhile are left alone.
func (c *Center) settle(ctx context.Context, taken []Notification, set string) error {
	ids := make([]string, len(taken))
	for i, n := range taken {
		ids[i] = fmt.Sprint(n.ID)
	}
	_, err := c.db.ExecContext(ctx, "UPDATE notifications SET "+set+" WHERE due_at IS NOT NULL AND id IN ("+strings.Join(ids, ", ")+")")
	return err
}
