package live_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/broker/memory"
	"github.com/swampline/live/transport/transporttest"
)

// Whoever can write to the broker can do harm enough; what is not an entry, for whatever reason, does no more than have everybody look again.
func TestWhatIsNoEntryOfTheLogResyncs(t *testing.T) {
	for _, name := range transporttest.All {
		t.Run(name, func(t *testing.T) {
			log := memory.New(memory.Options{MaxEntryBytes: -1, MaxBytes: 64 << 20})
			m := desk()
			b := newBench(t, live.Options{Broker: log}, m)
			f := follow(t, name, b.server()+"/live/", `{"type":"subscribe","id":1,"router":"memos"}`)
			f.want("snapshot")
			const forged = `"router":"memos","key":"1","op":"update"`
			for _, data := range []string{
				"", "x", "{}", `{"v":2}`, `{"v":1,"more":1}`, `{"v":1}{"v":1}`, "\x00", `{"v":1,"changes":[{` + forged + `}]}`,
				`{"v":1,"messages":[{"channel":"c","data":"` + "\xff" + `"}]}`, "{\"v\":1,\n\"changes\":[]}",
				`{"v":1,"changes":[{` + forged + `,"now":{"id":"x","title":[]}}]}`,
				`{"v":1,"changes":[{` + forged + `,"now":{"title":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}}]}`,
				`{"v":1,"messages":[{"channel":"c","data":"` + strings.Repeat("x", 16<<20) + `"}]}`,
			} {
				if _, err := log.Append(t.Context(), []byte(data)); err != nil {
					t.Fatal(err)
				}
				if m := f.want("resync"); !strings.Contains(m.Raw, "milk") || strings.Contains(m.Raw, "theirs") {
					t.Errorf("after %.60q: %s", data, m.Raw)
				}
			}
			if !strings.Contains(b.log.String(), "record:") {
				t.Errorf("nobody is told in the log: %s", b.log)
			}
			m.retitle(t, 1, "and on")
			f.want("change")
		})
	}
}

// A leave says which row, and is said to nobody who did not hold it.
func TestALeaveSaysOnlyTheKeyAndOnlyToWhoHeldTheRow(t *testing.T) {
	for _, name := range transporttest.All {
		t.Run(name, func(t *testing.T) {
			m := desk()
			m.put(memo{ID: 3, OwnerID: 1, ListID: 7, Title: "the-secret", Note: "the-secret", Version: 1})
			b := newBench(t, live.Options{}, m)
			url := b.server() + "/live/"
			const subscription = `{"type":"subscribe","id":1,"router":"memos"}`
			one, two, three := follow(t, name, url, subscription), follow(t, name, url, subscription, "Visitor", "2"), follow(t, name, url, subscription, "Visitor", "3")
			for _, f := range []*follower{one, two, three} {
				f.want("snapshot")
			}
			was, _ := m.get(3)
			now := was
			now.OwnerID, now.Title, now.Note, now.Version = 2, "the-secret of 2", "the-secret of 2", 2
			if err := m.Updated(t.Context(), was, m.put(now)); err != nil { // from visitor 1 to visitor 2
				t.Fatal(err)
			}
			if got := cursorText.ReplaceAllString(queryName.ReplaceAllString(one.want("change").Raw, "Q"), "C"); got != `{"type":"change",Q,C,"changes":[{"op":"leave","key":"3","version":2}]}` {
				t.Errorf("who held it: %s", got)
			}
			if got := two.want("change"); !strings.Contains(got.Raw, `"op":"enter"`) {
				t.Errorf("whose it is now: %s", got.Raw)
			}
			if err := m.Deleted(t.Context(), now); err != nil {
				t.Fatal(err)
			}
			if got := two.want("change"); strings.Contains(got.Raw, "the-secret") || !strings.Contains(got.Raw, `"key":"3"`) {
				t.Errorf("who held it: %s", got.Raw)
			}
			for who, f := range map[int]*follower{1: one, 3: three} { // who never did, or no longer
				m.put(memo{ID: int64(10 + who), OwnerID: int64(who), Version: 1})
				row, _ := m.get(int64(10 + who))
				if err := m.Created(t.Context(), row); err != nil {
					t.Fatal(err)
				}
				if got := f.want("change"); strings.Contains(got.Raw, `"key":"3"`) || strings.Contains(got.Raw, "the-secret") || !strings.Contains(got.Raw, fmt.Sprintf(`"key":"%d"`, 10+who)) {
					t.Errorf("visitor %d: %s", who, got.Raw)
				}
			}
		})
	}
}
