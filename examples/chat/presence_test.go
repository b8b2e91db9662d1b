package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live/presence"
)

// round sends messages of the protocol as a poll does, and returns the answers.
func round(t *testing.T, client *http.Client, server *httptest.Server, messages ...string) (answers []map[string]any) {
	t.Helper()
	request, _ := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/live/", strings.NewReader(strings.Join(messages, "\n")))
	request.Header.Set("Content-Type", "application/x-ndjson")
	answer, err := client.Do(request)
	_, body := text(t, answer, err)
	for line := range strings.Lines(body) {
		var message map[string]any
		if err := json.Unmarshal([]byte(line), &message); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		answers = append(answers, message)
	}
	return answers
}

// until asks again and again until something is so: what members do goes on the log a little later, several together.
func until(t *testing.T, what string, ask func() (got string, ok bool)) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		got, ok := ask()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %s", what, got)
		}
	}
}

// member is a presence that is there; n tells members apart.
func member(n int, rest string) string {
	return fmt.Sprintf(`{"member":"00000000-0000-4000-8000-%012d","token":"secretsecretsecretsecret%d"%s}`, n, n, rest)
}

// Who may not see a room does not learn who is in it, nor that it is there; who is removed is not in it any more.
func TestPresenceIsTheRooms(t *testing.T) {
	app, server := testApp(t)
	people := map[string]*http.Client{"Ada": browser(), "Ben": browser(), "Eve": browser()}
	for name, client := range people {
		signIn(t, client, server, url.Values{"name": {name}, "hue": {"28"}})
	}
	names := func(client *http.Client, subscribe string) string {
		for _, message := range round(t, client, server, subscribe) {
			switch message["type"] {
			case "error":
				return message["problem"].(map[string]any)["code"].(string)
			case "snapshot":
				var all []string
				for _, row := range message["rows"].([]any) {
					fields := row.(map[string]any)["fields"].(map[string]any)
					all = append(all, fmt.Sprintf("%v %v %v", fields["name"], fields["info"], fields["state"]))
				}
				return strings.Join(all, ", ")
			}
		}
		return "no answer"
	}
	answers := round(t, people["Ada"], server, `{"type":"call","id":1,"router":"rooms","verb":"open","data":{"name":"cellar","topic":"","private":true}}`,
		`{"type":"call","id":2,"router":"rooms","verb":"invite","key":"3","data":{"name":"Ben"}}`)
	if len(answers) < 2 || fmt.Sprint(answers[0]["data"]) != "map[id:3]" {
		t.Fatalf("the room is %v, want 3", answers)
	}
	there := func(presence string) string {
		return `{"type":"subscribe","id":1,"router":"rooms","key":"3","presence":` + presence + `}`
	}
	round(t, people["Ada"], server, there(member(1, "")))
	until(t, "in the room is Ada", func() (string, bool) {
		got := names(people["Ben"], there(member(2, `,"state":{"state":"typing"}`)))
		return got, strings.Contains(got, "Ada map[hue:28] map[]") && strings.Contains(got, "Ben map[hue:28] map[state:typing]")
	})
	for _, presence := range []string{"{}", member(3, "")} {
		if got := names(people["Eve"], there(presence)); got != "not_found" {
			t.Errorf("Eve is told %q of who is in the room", got)
		}
	}
	if got := names(people["Eve"], `{"type":"subscribe","id":1,"router":"rooms","keys":["1","3"],"presence":{}}`); got != "" {
		t.Errorf("Eve is told %q of who is in the rooms", got)
	}
	p, err := app.store.called(t.Context(), "Ben")
	if err != nil {
		t.Fatal(err)
	}
	round(t, people["Ada"], server, fmt.Sprintf(`{"type":"call","id":1,"router":"rooms","verb":"remove","key":"3","data":{"person":%d}}`, p.ID))
	if got := names(people["Ben"], there(member(2, ""))); got != "not_found" {
		t.Errorf("Ben was removed, and is told %q", got)
	}
}

// Nobody is written to who has the chat before his eyes; a page that is hidden is not.
func TestWhoLooksIsHere(t *testing.T) {
	app, server := testApp(t)
	client := browser()
	signIn(t, client, server, url.Values{"name": {"Ada"}})
	p, err := app.store.called(t.Context(), "Ada")
	if err != nil {
		t.Fatal(err)
	}
	ping := func() { round(t, client, server, `{"type":"ping","id":1}`) }
	looking := func(want bool, when string) {
		t.Helper()
		until(t, when, func() (string, bool) {
			ping()
			got := app.looking(idText(p.ID))
			return fmt.Sprint("looking is ", got), got == want
		})
	}
	if app.looking(idText(p.ID)) {
		t.Error("Ada was never here, and looks")
	}
	subscribe := `{"type":"subscribe","id":1,"channel":"online","presence":`
	round(t, client, server, subscribe+member(1, `,"away":true`)+`}`)
	until(t, "the hidden page", func() (string, bool) {
		ping()
		there := app.presence.At(presence.Place{Channel: online})
		return fmt.Sprint(there), len(there) == 1
	})
	if app.looking(idText(p.ID)) {
		t.Error("Ada's page is hidden, and she looks")
	}
	round(t, client, server, subscribe+member(2, "")+`}`)
	looking(true, "shown in another window")
	round(t, client, server, `{"type":"call","id":1,"router":"presence","verb":"leave","data":`+member(2, "")+`}`)
	looking(false, "and closed")
}
