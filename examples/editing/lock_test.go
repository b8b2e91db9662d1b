package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/swampline/live"
)

// call has somebody's tab call a verb of presence.
func (b *browser) call(tab int, verb, more string) string {
	b.t.Helper()
	line := fmt.Sprintf(`{"type":"call","id":1,"router":"presence","verb":"%s","data":{"member":"00000000-0000-4000-8000-%012d","token":"%022d"%s}}`+"\n", verb, tab, tab, more)
	request, err := http.NewRequestWithContext(b.t.Context(), "POST", b.base+"/live/", strings.NewReader(line))
	if err == nil {
		request.Header.Set("Content-Type", "application/x-ndjson")
	}
	b.do(request, err)
	return b.page
}

func TestWithLocksOnlyWhoHasTheLockSaves(t *testing.T) {
	_, server := testAppWith(t, true)
	ada, ben := open(t, server, "Ada"), open(t, server, "Ben")
	ada.get("/articles/1")
	ada.save(map[string]string{"title": "Hers"})
	ada.want(409, "/articles/1")
	if got := ada.text("story"); got != "That could not be saved: nobody has the lock: take it first." {
		t.Errorf("without a lock the page says %q", got)
	}
	if got := ada.form().Get("title"); got != "Hers" {
		t.Errorf("what was written is lost: %q", got)
	}

	ben.comeIn(2, "1", `{}`)
	if answer := ben.call(2, "lock", ""); !strings.Contains(answer, `"lock":"`) {
		t.Fatalf("the lock was answered with %s", answer)
	}
	ada.save(map[string]string{"title": "Hers"})
	ada.want(409, "/articles/1")
	if got := ada.text("story"); got != "That could not be saved: Ben has the lock." {
		t.Errorf("with Ben's lock the page says %q", got)
	}
	hers := ada.form()
	hers.Set("title", "Hers after all")
	ben.get("/articles/1")
	ben.save(map[string]string{"title": "His"})
	ben.want(200, "/articles/1?saved=yes")
	his := ben.form()
	his.Set("title", "His again")

	// Who began the article may take the lock over; nobody else may.
	ada.comeIn(1, "1", `{}`)
	if answer := ada.call(1, "takeover", ""); !strings.Contains(answer, `"lock":"`) {
		t.Fatalf("who began it was answered with %s", answer)
	}
	if answer := ben.call(2, "takeover", ""); !strings.Contains(answer, "forbidden") {
		t.Fatalf("who did not was answered with %s", answer)
	}
	ben.post("/articles/1", his)
	ben.want(409, "/articles/1")
	ada.post("/articles/1", hers)
	ada.want(409, "/articles/1") // Ben's title is one that she has not seen
	ada.save(nil)
	ada.want(200, "/articles/1?saved=yes")
}

func TestNobodyDeletesWhatAColleagueIsWritingIn(t *testing.T) {
	_, server := testAppWith(t, true)
	ada, ben := open(t, server, "Ada"), open(t, server, "Ben")
	ben.comeIn(2, "1", `{}`)
	ben.call(2, "lock", "")
	ada.get("/articles/1")
	ada.post("/articles/1/delete", ada.form())
	ada.want(409, "/articles/1/delete")
	if got := ada.text("story"); got != "That could not be deleted: Ben has the lock. Have another look." {
		t.Errorf("the page says %q", got)
	}
	ben.call(2, "leave", "")
	ada.sees("1", "")
	ada.post("/articles/1/delete", ada.form())
	ada.want(200, "/")
}

func TestWhoWasHaltedUnderAnOldLockOverwritesNothing(t *testing.T) {
	s := testStore(t)
	article, err := s.article(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	halted := article
	halted.LockToken = "0000000000000007"
	article.LockToken = "0000000000000008"
	if article, err = s.saveArticle(t.Context(), article); err != nil {
		t.Fatal(err)
	}
	halted.Version = article.Version // whatever else he has come to know
	if _, err := s.saveArticle(t.Context(), halted); !errors.Is(err, live.ErrConflict) {
		t.Errorf("a save under an older lock: %v, want ErrConflict", err)
	}
	if _, err := s.saveArticle(t.Context(), article); err != nil {
		t.Errorf("a second save under the lock: %v", err)
	}
}
