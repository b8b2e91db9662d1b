package live_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/transport/transporttest"
)

// The audiences of the tests of views, by visitor.
const (
	owner = "1"
	guest = "2"
	staff = "3"
)

// catalogue is memos that everybody sees, each audience in its view.
func catalogue() *memos {
	m := desk()
	m.Scope = live.Everyone
	m.Serializer.Views = map[string]live.View{
		"guest": {Fields: []string{"id", "title", "version"}, Write: []string{}},
		"staff": {Except: []string{"note"}, Write: []string{"title"}},
	}
	m.Serializer.View = func(ctx context.Context) (string, error) {
		return map[int64]string{2: "guest", 3: "staff"}[visitor(ctx)], nil
	}
	return m
}

func TestEachAudienceSeesItsView(t *testing.T) {
	m := catalogue()
	var made atomic.Int64
	m.Serializer.Computed["loud"] = live.Computed[memo]{From: []string{"title"}, Of: func(row memo) any {
		made.Add(1)
		return strings.ToUpper(row.Title)
	}}
	b := newBench(t, live.Options{}, m)
	url := b.server() + "/live/"
	audiences := []string{owner, guest, staff, guest, staff}
	var followers []*follower
	for _, who := range audiences {
		f := follow(t, transporttest.WebSocket, url, `{"type":"subscribe","id":1,"router":"memos","where":{"id":1}}`, "Visitor", who)
		snapshot := map[string]string{
			owner: milk,
			guest: `{"key":"1","version":4,"fields":{"id":1,"title":"milk","version":4}}`,
			staff: strings.Replace(milk, `"note":"two",`, "", 1),
		}[who]
		equal(t, "the snapshot of "+who, scrub(f.want("snapshot").Raw), `{"type":"snapshot","id":1,"query":"Q","cursor":"C","rows":[`+snapshot+`]}`)
		followers = append(followers, f)
	}
	step := func(change func(*memo), fields map[string]string) {
		t.Helper()
		was, _ := m.get(1)
		now := was
		change(&now)
		now.Version++
		before := made.Load()
		if err := m.Updated(t.Context(), was, m.put(now)); err != nil {
			t.Fatal(err)
		}
		for i, f := range followers {
			equal(t, "what "+audiences[i]+" is told", scrub(f.want("change").Raw),
				fmt.Sprintf(`{"type":"change","query":"Q","cursor":"C","changes":[{"op":"update","key":"1","version":%d,"fields":{%s}}]}`, now.Version, fields[audiences[i]]))
		}
		if n := made.Load() - before; n != 1 {
			t.Errorf("the row was computed %d times for %d subscribers", n, len(followers))
		}
	}
	step(func(row *memo) { row.Note, row.Stars = "the-secret", 9 }, map[string]string{
		owner: `"note":"the-secret","stars":9,"version":5`, guest: `"version":5`, staff: `"stars":9,"version":5`,
	})
	step(func(row *memo) { row.Title = "soy" }, map[string]string{
		owner: `"title":"soy","version":6,"loud":"SOY"`, guest: `"title":"soy","version":6`, staff: `"title":"soy","version":6,"loud":"SOY"`,
	})
}

// TestWhatIsOutsideAViewIsSaidNowhere scans all that two audiences are told, by every way, for what they may not see.
func TestWhatIsOutsideAViewIsSaidNowhere(t *testing.T) {
	for who, never := range map[string][]string{guest: {"the-secret", `"note"`, `"stars"`, `"list_id"`, `"loud"`}, staff: {"the-secret", `"note"`}} {
		m := catalogue()
		row := memo{ID: 5, ListID: 7, Title: "tea", Note: "the-secret", Version: 1}
		m.put(row)
		b := newBench(t, live.Options{}, m)
		f := follow(t, transporttest.WebSocket, b.server()+"/live/", `{"type":"subscribe","id":1,"router":"memos"}`, "Visitor", who)
		heard := []string{f.want("snapshot").Raw}
		step := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			heard = append(heard, f.want("change").Raw)
		}
		next := row
		next.Note, next.Version = "the-secret, too", 2
		step(m.Updated(t.Context(), row, m.put(next)))
		step(m.Changed(t.Context(), next))
		row.ID = 6
		step(m.Created(t.Context(), m.put(row)))
		step(m.Deleted(t.Context(), row))
		f.say(`{"type":"call","id":2,"router":"memos","verb":"list"}`, `{"type":"call","id":3,"router":"memos","verb":"get","key":"5"}`)
		heard = append(heard, f.want("result").Raw, f.want("result").Raw)
		f.say(`{"type":"call","id":4,"router":"memos","verb":"update","key":"5","version":7,"data":{"title":"x"}}`)
		heard = append(heard, f.want("error").Raw) // a conflict, with the present row
		if !strings.Contains(heard[len(heard)-1], `"current":{"key":"5"`) {
			t.Error(heard[len(heard)-1])
		}
		if who == staff {
			for _, r := range [][]string{{"PATCH", "/live/memos/5", `{"title":"new"}`}, {"POST", "/live/memos", `{"title":"the new"}`}} {
				w := b.ask(r[0], r[1], r[2], "Visitor", who, "If-Match", "2")
				if w.Code >= 300 {
					t.Error(w.Body)
				}
				heard = append(heard, w.Body.String(), f.want("change").Raw)
			}
		}
		for _, url := range []string{"/live/memos", "/live/memos/5", "/live/memos?cursor=0"} {
			w := b.ask("GET", url, "", "Visitor", who)
			if w.Code != 200 {
				t.Error(w.Body)
			}
			heard = append(heard, w.Body.String())
		}
		for _, text := range heard {
			for _, word := range never {
				if strings.Contains(text, word) {
					t.Errorf("visitor %s hears %q in %s", who, word, text)
				}
			}
		}
	}
}

func TestFieldOutsideTheViewDoesNotExist(t *testing.T) {
	b := newBench(t, live.Options{}, catalogue())
	for _, ask := range [][]string{
		{"GET", "/live/memos?FIELD=1", ""}, {"GET", "/live/memos?FIELD__gt=x", ""}, {"GET", "/live/memos?FIELD__isnull=7", ""},
		{"GET", "/live/memos?order=-FIELD", ""}, {"POST", "/live/memos", `{"FIELD":1}`}, {"PATCH", "/live/memos/1", `{"FIELD":null}`},
	} {
		answers := map[string]string{}
		// a field of rights, ones that others may filter and write, one that is only published, a computed one, and none
		for _, name := range []string{"owner_id", "list_id", "note", "stars", "loud", "no_such"} {
			method, url, body := ask[0], strings.ReplaceAll(ask[1], "FIELD", name), strings.ReplaceAll(ask[2], "FIELD", name)
			w := b.refused(map[bool]int{true: 400, false: 422}[method == "GET"], "unknown_field", method, url, body, "Visitor", guest, "If-Match", "4")
			answers[strings.ReplaceAll(w.Body.String(), name, "FIELD")] = name
		}
		if len(answers) != 1 {
			t.Errorf("%s: the answers tell which fields exist: %v", ask, answers)
		}
	}
	// To others they do exist, or cannot be used for a reason that they may know.
	b.want(200, "…", "GET", "/live/memos?list_id=7", "", "Visitor", staff)
	b.refused(400, "field_not_filterable", "GET", "/live/memos?stars=1", "", "Visitor", staff)
	b.refused(400, "unknown_field", "GET", "/live/memos?note=1", "", "Visitor", staff)
}

func TestAViewSaysWhatMayBeWritten(t *testing.T) {
	b := newBench(t, live.Options{}, catalogue())
	patch := func(status int, code, who, data string) {
		t.Helper()
		w := b.ask("PATCH", "/live/memos/1", data, "Visitor", who, "If-Match", `"4"`)
		if w.Code != status || !strings.Contains(w.Body.String(), code) {
			t.Errorf("visitor %s writes %s: %d %s", who, data, w.Code, w.Body)
		}
	}
	patch(422, "field_not_writable", guest, `{"title":"x"}`)
	patch(422, "field_not_writable", staff, `{"list_id":1}`) // it is in the view, and others may write it
	patch(422, "unknown_field", staff, `{"note":"x"}`)
	patch(422, "unknown_field", staff, `{"title":"y","note":"x"}`)
	b.want(200, milk, "GET", "/live/memos/1", "", "Visitor", owner) // nothing was stored
	patch(200, `"title":"x"`, staff, `{"title":"x"}`)
	if row := b.ask("GET", "/live/memos/1", "", "Visitor", owner).Body.String(); !strings.Contains(row, `"note":"two"`) || !strings.Contains(row, `"title":"x"`) {
		t.Errorf("what the writer does not see was not kept: %s", row)
	}
}

// TestNobodyIsServedWithoutAView: whatever goes wrong with the choice, on every way in, the caller gets no row.
func TestNobodyIsServedWithoutAView(t *testing.T) {
	for what, view := range map[string]func(context.Context) (string, error){
		"unknown": func(context.Context) (string, error) { return "vip", nil },
		"error":   func(context.Context) (string, error) { return "", errors.New("the-secret reason") },
		"panic":   func(context.Context) (string, error) { panic("the-secret reason") },
	} {
		m := catalogue()
		m.Serializer.View = view
		b := newBench(t, live.Options{}, m)
		answers := []string{
			b.refused(500, "internal", "GET", "/live/memos", "").Body.String(),
			b.refused(500, "internal", "GET", "/live/memos/1", "").Body.String(),
			b.refused(500, "internal", "POST", "/live/memos", `{"title":"x"}`).Body.String(),
			b.refused(500, "internal", "PATCH", "/live/memos/1", `{"title":"x"}`, "If-Match", "4").Body.String(),
			b.refused(500, "internal", "DELETE", "/live/memos/1", "", "If-Match", "4").Body.String(),
			b.say(`{"type":"subscribe","id":1,"router":"memos"}`)[0],
		}
		for _, a := range answers {
			if strings.Contains(a, "milk") || strings.Contains(a, "secret") || strings.Contains(a, "vip") || !strings.Contains(a, "internal") {
				t.Errorf("%s: answered %s", what, a)
			}
		}
		if before := desk().snapshot(); m.snapshot() != before {
			t.Errorf("%s: something was stored: %s", what, m.snapshot())
		}
		if log := b.log.String(); strings.Count(log, "level=ERROR") != len(answers) {
			t.Errorf("%s: logged %s", what, log)
		}
	}
	m := catalogue()
	m.Serializer.View = func(context.Context) (string, error) { return "", live.ErrForbidden }
	newBench(t, live.Options{}, m).refused(403, "forbidden", "GET", "/live/memos", "")
}

func TestCachesKnowTheView(t *testing.T) {
	m := catalogue()
	b := newBench(t, live.Options{}, m)
	list := func(who, seen string) (status int, tag string) {
		w := b.ask("GET", "/live/memos", "", "Visitor", who, "If-None-Match", seen)
		return w.Code, w.Header().Get("ETag")
	}
	_, guests := list(guest, "")
	_, owners := list(owner, "")
	if guests == owners {
		t.Errorf("the list of two views has one tag, %s", guests)
	}
	if status, _ := list(owner, guests); status != 200 {
		t.Errorf("who became the owner is told that nothing changed: %d", status)
	}
	if status, _ := list(guest, guests); status != 304 {
		t.Errorf("an unchanged list: %d", status)
	}
	// One version of a row looks different in each view, and its tag is the version.
	if w := b.ask("GET", "/live/memos/1", "", "Visitor", owner, "If-None-Match", `"4"`); w.Code != 200 {
		t.Errorf("who became the owner is told that the row is as he knows it: %d", w.Code)
	}
}

// TestViewOverEachTransport: what is told later is of the view, however it comes.
func TestViewOverEachTransport(t *testing.T) {
	for _, transport := range transporttest.All {
		t.Run(transport, func(t *testing.T) {
			m := catalogue()
			b := newBench(t, live.Options{}, m)
			f := follow(t, transport, b.server()+"/live/", `{"type":"subscribe","id":1,"router":"memos","where":{"id":1}}`, "Visitor", guest)
			f.want("snapshot")
			was, _ := m.get(1)
			now := was
			now.Title, now.Note, now.Version = "soy", "the-secret", 5
			if err := m.Updated(t.Context(), was, m.put(now)); err != nil {
				t.Fatal(err)
			}
			for {
				got := f.next()
				if strings.Contains(got.Raw, "the-secret") {
					t.Fatal(got.Raw)
				}
				if got.Type == "change" {
					if fields := `"fields":{"title":"soy","version":5}`; !strings.Contains(got.Raw, fields) {
						t.Errorf("told %s, want %s", got.Raw, fields)
					}
					return
				}
			}
		})
	}
}

// TestAWindowIsOfAView: what the view lacks does not come by a window either, and is no reason to send one anew.
func TestAWindowIsOfAView(t *testing.T) {
	m := catalogue()
	b := newBench(t, live.Options{}, m)
	subscribe := `{"type":"subscribe","id":1,"router":"memos","limit":1,"order":"id"}`
	f := follow(t, transporttest.WebSocket, b.server()+"/live/", subscribe, "Visitor", guest)
	if got := f.want("snapshot").Raw; !strings.Contains(got, `"rows":[{"key":"1","version":4,"fields":{"id":1,"title":"milk","version":4}}]`) {
		t.Error(got)
	}
	f.want("change") // which says what is beyond
	now, _ := m.get(1)
	for _, want := range []string{
		`[{"op":"update","key":"1","version":5,"fields":{"version":5}}]`,
		`[{"op":"update","key":"1","version":6,"fields":{"version":6}}]`,
	} {
		was := now
		now.Note += "the-secret"
		now.Version++
		if err := m.Updated(t.Context(), was, m.put(now)); err != nil {
			t.Fatal(err)
		}
		if got := f.want("change").Raw; !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	second := follow(t, transporttest.WebSocket, b.server()+"/live/", subscribe, "Visitor", guest) // reads the list anew
	second.want("snapshot")
	if err := m.Deleted(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if got := f.want("change").Raw; strings.Contains(got, "the-secret") || !strings.Contains(got, `{"op":"delete","key":"1"`) ||
		!strings.Contains(got, `"op":"enter","key":"2","version":9,"fields":{"id":2,"title":"theirs","version":9},"at":0`) {
		t.Error(got)
	}
	b.refused(400, "unknown_field", "GET", "/live/memos?limit=1&order=list_id", "", "Visitor", guest)
}

func TestTheZeroViewHasAllFields(t *testing.T) {
	m := catalogue()
	m.Serializer.Views["staff"] = live.View{}
	b := newBench(t, live.Options{}, m)
	all := scrub(b.ask("GET", "/live/memos?order=id", "", "Visitor", owner).Body.String())
	if got := scrub(b.ask("GET", "/live/memos?order=id", "", "Visitor", staff).Body.String()); got != all || !slices.Contains(strings.Split(got, `"`), "note") {
		t.Errorf("got %s, want %s", got, all)
	}
}
