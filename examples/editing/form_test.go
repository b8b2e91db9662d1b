package main

import (
	"net/url"
	"strings"
	"testing"
)

func TestAFormSavesWithoutAScript(t *testing.T) {
	ada := open(t, testApp(t), "Ada")
	ada.get("/articles/1")
	ada.save(map[string]string{"title": "  The day\tferry ", "ready": "", "body": "one\r\n\r\ntwo"})
	ada.want(200, "/articles/1?saved=yes")
	form := ada.form()
	if form.Get("title") != "The day ferry" || form.Has("ready") || form.Get("body") != "one\r\n\r\ntwo" || form.Get("version") != "2" {
		t.Errorf("stored is %v", form)
	}
	if got := ada.text("story"); got != "Saved." {
		t.Errorf("the page says %q", got)
	}
}

func TestTwoWhoChangeDifferentFieldsBothDo(t *testing.T) {
	server := testApp(t)
	ada, ben := open(t, server, "Ada"), open(t, server, "Ben")
	ada.get("/articles/1")
	ben.get("/articles/1")
	ada.save(map[string]string{"title": "Hers"})
	ben.save(map[string]string{"summary": "His", "ready": ""})
	ben.want(200, "/articles/1?saved=yes")
	if form := ben.form(); form.Get("title") != "Hers" || form.Get("summary") != "His" || form.Has("ready") || form.Get("version") != "3" {
		t.Errorf("stored is %v", form)
	}
}

func TestOfTwoWhoChangeOneFieldTheSecondIsAsked(t *testing.T) {
	server := testApp(t)
	ada, ben := open(t, server, "Ada"), open(t, server, "Ben")
	ada.get("/articles/1")
	ben.get("/articles/1")
	ada.save(map[string]string{"title": "The day ferry is back", "section": "Guides"})
	ben.save(map[string]string{"title": "The night boat is back", "summary": "His"})
	ben.want(409, "/articles/1")
	if got := ben.text("story"); !strings.Contains(got, "Ada") {
		t.Errorf("the page says %q, and not who it was", got)
	}
	if got := ben.text("t-title"); got != "Ada saved: The day ferry is back From that to yours: The day night ferry boat is back" {
		t.Errorf("beside the title stands %q", got)
	}
	if got := ben.text("t-summary"); got != "" {
		t.Errorf("beside the summary, which only Ben changed, stands %q", got)
	}
	if got := ben.text("save"); got != "Save anyway" {
		t.Errorf("the button says %q", got)
	}
	form := ben.form()
	if form.Get("title") != "The night boat is back" || form.Get("was.title") != `"The day ferry is back"` || form.Get("summary") != "His" || form.Get("section") != "Guides" || form.Get("version") != "2" {
		t.Errorf("the form that is shown again says %v", form)
	}

	// What the page did not show is not overwritten either.
	ada.save(map[string]string{"title": "The boat"})
	ben.save(nil)
	ben.want(409, "/articles/1")
	if got := ben.text("t-title"); !strings.HasPrefix(got, "Ada saved: The boat From") {
		t.Errorf("beside the title stands %q", got)
	}
	ben.save(nil)
	ben.want(200, "/articles/1?saved=yes")
	if form := ben.form(); form.Get("title") != "The night boat is back" || form.Get("summary") != "His" || form.Get("section") != "Guides" || form.Get("version") != "4" {
		t.Errorf("stored is %v", form)
	}
}

func TestWhatIsWrongStandsAtTheField(t *testing.T) {
	ada := open(t, testApp(t), "Ada")
	ada.get("/articles/4")
	ada.save(map[string]string{"title": " ", "summary": strings.Repeat("é", maxSummary+1), "section": "Weather", "ready": "true"})
	ada.want(422, "/articles/4")
	for id, want := range map[string]string{
		"e-title":   "An article needs a title.",
		"e-summary": "That is 301 characters; 300 is the most.",
		"e-section": "There is no such section: choose one of Town, Guides, Opinion, Sport.",
		"e-ready":   "There is nothing to print yet.",
		"e-body":    "",
	} {
		if got := ada.text(id); got != want {
			t.Errorf("%s says %q, want %q", id, got, want)
		}
	}
	if form := ada.form(); form.Get("summary") != strings.Repeat("é", maxSummary+1) || form.Get("was.summary") == form.Get("summary") {
		t.Errorf("what was written is not shown again: %v", form)
	}
}

func TestADeletedArticleGivesTheTextBack(t *testing.T) {
	server := testApp(t)
	ada, ben := open(t, server, "Ada"), open(t, server, "Ben")
	ada.get("/articles/1")
	ben.get("/articles/1")
	stale := ada.form()
	ben.save(map[string]string{"body": "Ben's"})

	his := ben.form()
	ben.post("/articles/1/delete", his)
	if ben.status != 403 {
		t.Errorf("who did not begin the article deleted it: %d", ben.status)
	}
	ada.post("/articles/1/delete", stale)
	ada.want(409, "/articles/1/delete")
	ada.post("/articles/1/delete", ada.form())
	ada.want(200, "/")

	his.Set("body", "An hour of <work>")
	ben.post("/articles/1", his)
	ben.want(404, "/articles/1")
	if !strings.Contains(ben.page, "An hour of &lt;work&gt;</textarea>") {
		t.Errorf("what was written is lost:\n%s", ben.page)
	}
}

func TestAPrivateArticleIsItsOwnersAlone(t *testing.T) {
	server := testApp(t)
	ada, grace := open(t, server, "Ada"), open(t, server, "Grace")
	grace.get("/articles/3")
	grace.save(map[string]string{"title": "Still secret"})
	grace.want(200, "/articles/3?saved=yes")

	stranger := open(t, server, "")
	for _, b := range []*browser{ada, stranger} {
		b.get("/live/articles/3")
		if b.status != 404 {
			t.Errorf("the router answered %d, want 404", b.status)
		}
		b.get("/live/articles")
		if strings.Contains(b.page, "secret") {
			t.Errorf("the list has it:\n%s", b.page)
		}
	}
	ada.get("/")
	if strings.Contains(ada.page, "secret") || !strings.Contains(ada.page, "Letters to the editor") {
		t.Errorf("the page has it:\n%s", ada.page)
	}
	form := grace.form()
	form.Set("title", "Mine now")
	ada.post("/articles/3", form)
	ada.want(404, "/articles/3")
	ada.post("/articles/3/delete", form)
	ada.want(404, "/articles/3/delete")

	// Nor does somebody else make one private.
	ada.get("/articles/2")
	form = ada.form()
	form.Set("private", "true")
	form.Set("was.private", "false")
	ada.post("/articles/2", form)
	grace.get("/live/articles/2")
	if grace.status != 200 {
		t.Errorf("the article of Ben's is gone from Grace's sight: %d", grace.status)
	}
}

func TestAnArticleIsBegun(t *testing.T) {
	ada := open(t, testApp(t), "Ada")
	ada.post("/articles", url.Values{"title": {"  "}})
	ada.want(422, "/articles")
	if got := ada.text("title-error"); got != "An article needs a title." {
		t.Errorf("the page says %q", got)
	}
	ada.post("/articles", url.Values{"title": {" Rain,  again"}, "transport": {"sse"}})
	ada.want(200, "/articles/5?transport=sse")
	if got := ada.text("heading"); got != "Rain, again" {
		t.Errorf("it is called %q", got)
	}
}

// What goes wrong in the server takes nobody's text away, and tells nobody why.
func TestASaveThatFailsShowsTheTextAgain(t *testing.T) {
	app, server := testAppWith(t, false)
	ada := open(t, server, "Ada")
	ada.get("/articles/1")
	if _, err := app.store.db.ExecContext(t.Context(), "CREATE TRIGGER broken BEFORE UPDATE ON articles BEGIN SELECT RAISE(ABORT, 'a secret'); END"); err != nil {
		t.Fatal(err)
	}
	ada.save(map[string]string{"body": "An hour of work"})
	ada.want(500, "/articles/1")
	if form := ada.form(); form.Get("body") != "An hour of work" || strings.Contains(ada.page, "secret") {
		t.Errorf("the page says %s", ada.page)
	}
	if _, err := app.store.db.ExecContext(t.Context(), "DROP TRIGGER broken"); err != nil {
		t.Fatal(err)
	}
	ada.save(nil)
	ada.want(200, "/articles/1?saved=yes")
}
