package live

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live/internal/session"
	"github.com/swampline/live/where"
)

// Who is locked out is so on this node at once, whatever the broker does.
func TestDisconnectDoesNotWaitForTheBroker(t *testing.T) {
	for name, end := range map[string]func(*Hub, context.Context, string) error{"Disconnect": (*Hub).Disconnect, "Recheck": (*Hub).Recheck} {
		t.Run(name, func(t *testing.T) {
			withAbsent(t, Options{}, func(t *testing.T, w *wait) {
				allowed := true
				w.things.Scope = func(context.Context) (where.Where, error) {
					if !allowed {
						return where.Where{}, ErrForbidden
					}
					return where.Where{}, nil
				}
				w.say(t, 1)
				synctest.Wait()
				cursor := w.hub.engine.Position().String()
				told := make(chan time.Duration, 1)
				began := time.Now()
				go func() {
					r := httptest.NewRequest("POST", "/live/?wait=20", strings.NewReader(`{"type":"subscribe","id":1,"router":"things","cursor":"`+cursor+`"}`))
					r.Header.Set("Content-Type", "application/x-ndjson")
					w.hub.ServeHTTP(httptest.NewRecorder(), r)
					told <- time.Since(began)
				}()
				synctest.Wait()
				allowed = false
				w.broker.mu.Lock() // the broker hangs, and its connection does not break
				w.broker.how = "hangs"
				w.broker.mu.Unlock()
				if err := end(w.hub, t.Context(), ""); !errors.Is(err, session.ErrUnavailable) {
					t.Error(err)
				}
				if took := <-told; took > promptly {
					t.Errorf("told after %v", took)
				}
			})
		})
	}
}

// What was split when the queue is full is neither told twice nor out of order: what is left comes when it is said again.
func TestTheQueueIsFullInTheMiddleOfASplitEntry(t *testing.T) {
	withAbsent(t, Options{MaxUnsentBytes: 1}, func(t *testing.T, w *wait) {
		w.broker.tooBig = 250
		w.things.Create = func(ctx context.Context, _ fine) (fine, error) {
			w.ran++
			for i := 1; i < 8; i++ {
				if err := w.things.Created(ctx, fine{i}); err != nil {
					return fine{}, err
				}
			}
			return fine{8}, nil
		}
		w.broker.takes = 2
		if _, _, err := w.create(t.Context()); !errors.Is(err, session.ErrUnavailable) {
			t.Fatal(err)
		}
		if st := w.hub.Stats(); st.UnsentEntries != 0 {
			t.Errorf("%d entries wait", st.UnsentEntries)
		}
		w.broker.be("")
		time.Sleep(10 * time.Second)
		answer, at, err := w.create(t.Context())
		if err != nil || at.IsZero() || answer.Unsent || w.ran != 1 {
			t.Errorf("said again: at %v, unsent %v, %v; it ran %d times", at, answer.Unsent, err, w.ran)
		}
		if ids, said := w.broker.log(t); said != "1 2 3 4 5 6 7 8" || len(ids) < 4 {
			t.Errorf("on the log, in %d entries: %s", len(ids), said)
		}
	})
}
