package live_test

import (
	"context"
	"strings"
	"testing"

	"github.com/swampline/live"
	"github.com/swampline/live/transport/transporttest"
)

// The models of the tests of relations.
type (
	ticket struct {
		ID       int64   `live:"id,key"`
		OwnerID  int64   `live:"owner_id"`
		Watchers []int64 `live:"watchers"`
	}
	person struct {
		ID   int64  `live:"id,key"`
		Name string `live:"name"`
	}
	remark struct {
		ID       int64 `live:"id,key"`
		TicketID int64 `live:"ticket_id,filter"`
		Author   int64 `live:"author"`
	}
	tagging struct {
		ID       int64  `live:"id,key"`
		TicketID int64  `live:"ticket_id,filter"`
		Tag      string `live:"tag"`
		Secret   string `live:"secret,scope"`
	}
	label struct {
		ID string `live:"id,key"`
	}
)

// listing is a router with nothing but a list.
func listing[T any](name string, rows ...T) *live.Router[T] {
	return &live.Router[T]{Name: name, Scope: live.Everyone, List: func(context.Context, live.Query) ([]T, error) { return rows, nil }}
}

func tickets(relations map[string]live.Relation) *live.Router[ticket] {
	r := listing("tickets", ticket{1, 7, []int64{7, 8}})
	r.Serializer.Relations = relations
	return r
}

var related = map[string]live.Relation{
	"owner":     {Router: "people", Key: "owner_id"},
	"followers": {Router: "people", Key: "watchers"},
	"remarks":   {Router: "remarks", Field: "ticket_id"},
	"tags":      {Router: "labels", Through: "taggings", Field: "ticket_id", Key: "tag"},
}

// office are the routers of the tests, the tickets first: what they refer to is registered later.
func office() []live.Endpoint {
	r := tickets(related)
	r.Serializer.Views = map[string]live.View{"guest": {Except: []string{"owner_id"}}}
	r.Serializer.View = func(ctx context.Context) (string, error) {
		return map[int64]string{2: "guest"}[visitor(ctx)], nil
	}
	return []live.Endpoint{r, listing[person]("people"), listing[remark]("remarks"), listing[tagging]("taggings"), listing[label]("labels")}
}

const (
	owned     = `"owner":{"router":"people","key":"owner_id","by":"id"}`
	followed  = `"followers":{"router":"people","key":"watchers","by":"id"}`
	remarked  = `"remarks":{"router":"remarks","field":"ticket_id"}`
	tagged    = `"tags":{"router":"labels","through":"taggings","field":"ticket_id","key":"tag","by":"id"}`
	ticketRow = `"fields":{"id":1,"owner_id":7,"watchers":[7,8]}}]`
)

func TestIncludeSaysWhereRelatedRowsAre(t *testing.T) {
	b := newBench(t, live.Options{}, office()...)
	for _, transport := range transporttest.All {
		f := follow(t, transport, b.server()+"/live/", `{"type":"subscribe","id":1,"router":"tickets","include":["tags","owner","followers","remarks","owner"]}`)
		if got, want := f.want("snapshot").Raw, ticketRow+`,"relations":{`+tagged+","+owned+","+followed+","+remarked+`}}`; !strings.HasSuffix(got, want) {
			t.Errorf("%s: got %s, want %s", transport, got, want)
		}
	}
	if got := b.say(`{"type":"call","id":1,"router":"tickets","verb":"list","include":["owner"]}`)[0]; !strings.HasSuffix(got, ticketRow+`,"relations":{`+owned+`}}`) {
		t.Errorf("a call answers %s", got)
	}
	for url, want := range map[string]string{
		"?include=remarks,owner": ticketRow + `,"relations":{` + remarked + "," + owned + "}}\n",
		"":                       ticketRow + "}\n",
	} {
		if w := b.ask("GET", "/live/tickets"+url, ""); !strings.HasSuffix(w.Body.String(), want) {
			t.Errorf("%s: got %s, want %s", url, w.Body, want)
		}
	}
	for _, include := range []string{"", `,"include":[]`, `,"include":null`} {
		if got := b.say(`{"type":"subscribe","id":1,"router":"tickets"` + include + `}`)[0]; strings.Contains(got, "relations") || !strings.Contains(got, "snapshot") {
			t.Errorf("%s: got %s", include, got)
		}
	}
	// A cursor of another log is answered with a resync, which says it again.
	if w := b.ask("GET", "/live/tickets?include=owner&cursor=4fk2m9qa.2sy", ""); !strings.Contains(w.Body.String(), `"type":"resync"`) || !strings.Contains(w.Body.String(), owned) {
		t.Errorf("a resync: %s", w.Body)
	}
}

func TestUnknownRelation(t *testing.T) {
	b := newBench(t, live.Options{}, office()...)
	problem := func(name string) string {
		return `{"title":"Bad Request","status":400,"code":"unknown_relation","detail":"no relation \"` + name + `\"","errors":{"include":["no relation \"` + name + `\""]}}`
	}
	for _, name := range []string{"nobody", "", "Owner", "owner_id"} {
		b.want(400, problem(name), "GET", "/live/tickets?include="+name, "")
	}
	b.want(400, problem("nobody"), "GET", "/live/tickets?include=owner,nobody", "")
	b.want(400, problem("owner"), "GET", "/live/tickets?include=owner", "", "Visitor", guest) // its key is not in the view
	b.want(200, "…", "GET", "/live/tickets?include=followers,tags,remarks", "", "Visitor", guest)
	equal(t, "subscribe", b.say(`{"type":"subscribe","id":1,"router":"tickets","include":["nobody"]}`)[0], `{"type":"error","id":1,"problem":`+problem("nobody")+`}`)
	equal(t, "call", b.say(`{"type":"call","id":1,"router":"tickets","verb":"list","include":["nobody"]}`)[0], `{"type":"error","id":1,"problem":`+problem("nobody")+`}`)
	for _, message := range []string{
		`{"type":"call","id":1,"router":"tickets","verb":"get","key":"1","include":["owner"]}`, `{"type":"subscribe","id":1,"channel":"c","include":["owner"]}`,
		`{"type":"subscribe","id":1,"router":"tickets","include":"owner"}`, `{"type":"subscribe","id":1,"router":"tickets","include":[1]}`, `{"type":"ping","id":1,"include":[]}`,
	} {
		if got := b.say(message)[0]; !strings.Contains(got, "malformed_message") {
			t.Errorf("%s: answered %s", message, got)
		}
	}
}

// TestARelationWhoseRouterIsMissing: it is the application's mistake, told to nobody but its log, once.
func TestARelationWhoseRouterIsMissing(t *testing.T) {
	b := newBench(t, live.Options{}, tickets(related))
	for range 3 {
		for _, name := range []string{"owner", "tags"} {
			b.want(500, `{"title":"Internal Server Error","status":500,"code":"internal","detail":"the server failed to answer this"}`, "GET", "/live/tickets?include="+name, "")
		}
	}
	if log := b.log.String(); strings.Count(log, "level=ERROR") != 2 || !strings.Contains(log, "relation=owner missing=people") || !strings.Contains(log, "router=tickets") {
		t.Errorf("logged %s", log)
	}
	b.want(200, "…", "GET", "/live/tickets", "")
}

// TestRelationsAreCheckedWhenBothAreThere, in either order.
func TestRelationsAreCheckedWhenBothAreThere(t *testing.T) {
	mute := &live.Router[person]{Name: "people", Scope: live.Everyone, Get: func(context.Context, live.Key) (person, error) { return person{}, nil }}
	for _, test := range []struct {
		relation live.Relation
		others   []live.Endpoint
		want     string
	}{
		{live.Relation{Router: "remarks", Field: "author"}, []live.Endpoint{listing[remark]("remarks")},
			`live: router tickets: relation "it": clients cannot filter router remarks by "author": give that field the option filter, or name another`},
		{live.Relation{Router: "remarks", Field: "nope"}, []live.Endpoint{listing[remark]("remarks")},
			`live: router tickets: relation "it": clients cannot filter router remarks by "nope": give that field the option filter, or name another`},
		{live.Relation{Router: "labels", Through: "taggings", Field: "secret", Key: "tag"}, []live.Endpoint{listing[tagging]("taggings")},
			`live: router tickets: relation "it": clients cannot filter router taggings by "secret": give that field the option filter, or name another`},
		{live.Relation{Router: "labels", Through: "taggings", Field: "ticket_id", Key: "secret"}, []live.Endpoint{listing[tagging]("taggings")},
			`live: router tickets: relation "it": router taggings publishes no field "secret": name the one that holds the key of labels`},
		{live.Relation{Router: "people", Key: "owner_id"}, []live.Endpoint{mute},
			`live: router tickets: relation "it": router people has no List, so nobody can subscribe to it: set it`},
	} {
		for _, first := range []bool{true, false} {
			all := append([]live.Endpoint{}, test.others...)
			if it := tickets(map[string]live.Relation{"it": test.relation}); first {
				all = append([]live.Endpoint{it}, all...)
			} else {
				all = append(all, it)
			}
			hub := live.New(live.Options{})
			func() {
				defer func() {
					if got := recover(); got != test.want {
						t.Errorf("Register panics with\n%v\nwant\n%s", got, test.want)
					}
				}()
				hub.Register(all...)
			}()
			_ = hub.Shutdown(t.Context())
		}
	}
}
