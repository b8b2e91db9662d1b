package live_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/swampline/live"
	"github.com/swampline/live/transport"
)

// Who resumes a window is told it whole once the log must have all that a list had read before he came: here he claims to hold every row up to
// a place and holds a row that is gone, as one may that was told so elsewhere. Who was given his rows here is not told.
func TestWhoResumesAWindowIsToldItWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sessions []transport.Session
		var ends []func()
		opens := holding{func(s transport.Session, release func(error)) {
			sessions, ends = append(sessions, s), append(ends, func() { s.Close(); release(nil) })
		}}
		hub := live.New(live.Options{Transports: []transport.Transport{opens}, Logger: slog.New(slog.DiscardHandler)})
		db := &scores{rows: map[int64]score{}}
		for id := range int64(4) {
			db.rows[id] = score{ID: id, Rank: &id, Version: 1}
		}
		hub.Register(db.router())
		say := func(message string, further ...any) transport.Session {
			post(t.Context(), hub, "")
			s := sessions[len(sessions)-1]
			if err := s.Receive(t.Context(), fmt.Appendf(nil, message, further...)); err != nil {
				t.Fatal(err)
			}
			return s
		}
		told := func(s transport.Session) (all []string) {
			synctest.Wait()
			frames, err := s.Poll(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range frames {
				if f.Type != "cursor" && f.Type != "hello" {
					all = append(all, string(f.Data))
				}
			}
			return all
		}

		stays := say(`{"type":"subscribe","id":1,"router":"scores","order":"rank","limit":2}`)
		_, cursor, _ := strings.Cut(told(stays)[0], `"cursor":"`)
		cursor, _, _ = strings.Cut(cursor, `"`)
		comes := say(`{"type":"subscribe","id":1,"router":"scores","order":"rank","limit":2,"cursor":%q,"bound":[7,7]}`, cursor)
		if got := told(comes); len(got) != 2 || !strings.Contains(got[0], `"resumed"`) || !strings.Contains(got[1], `"changes":[]`) {
			t.Fatalf("who resumes is told %s", got)
		}
		time.Sleep(time.Minute)
		const want = `"more":true,"whole":true,"changes":[{"op":"enter","key":"0",`
		if got := told(comes); len(got) != 1 || !strings.Contains(got[0], want) || strings.Count(got[0], `"op":"enter"`) != 2 {
			t.Errorf("then he is told %s, want …%s…", got, want)
		}
		if got := told(stays); len(got) != 0 {
			t.Errorf("who was given his rows here is told %s", got)
		}
		for _, end := range ends {
			end()
		}
		if err := hub.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
