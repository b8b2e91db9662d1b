package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// comeIn has somebody's tab come into an article, as a round of a short poll says it.
func (b *browser) comeIn(tab int, article, state string) {
	b.t.Helper()
	line := fmt.Sprintf(`{"type":"subscribe","id":1,"router":"articles","key":"%s","presence":{"member":"00000000-0000-4000-8000-%012d","token":"%022d","state":%s}}`+"\n", article, tab, tab, state)
	request, err := http.NewRequestWithContext(b.t.Context(), "POST", b.base+"/live/", strings.NewReader(line))
	if err == nil {
		request.Header.Set("Content-Type", "application/x-ndjson")
	}
	b.do(request, err)
}

// sees loads an article's page until it says who is there: that goes by the log.
func (b *browser) sees(article, want string) {
	b.t.Helper()
	got := ""
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		b.get("/articles/" + article)
		if got = b.text("people"); got == want {
			return
		}
	}
	b.t.Fatalf("the page says %q, want %q", got, want)
}

func TestAPageKnowsWhoIsHere(t *testing.T) {
	server := testApp(t)
	ada, ben := open(t, server, "Ada"), open(t, server, "Ben")
	ada.comeIn(1, "1", `{}`)
	ben.comeIn(2, "1", `{"state":"idle"}`)
	ada.sees("1", "Ben is away")
	ben.comeIn(3, "1", `{"state":"editing","field":"title"}`) // in another tab
	ada.sees("1", "Ben is editing")
	for i, name := range []string{"Cyd", "Dan", "<b>Eve</b>", "Fay", "Gil"} {
		open(t, server, name).comeIn(10+i, "1", `{"state":17}`)
	}
	ada.sees("1", "Ben is editing Cyd Dan <b>Eve</b> 2 more")
	ada.get("/")
	if !strings.Contains(ada.page, `data-color="blue">Cyd</span>`) {
		t.Errorf("the list does not say who is where:\n%s", ada.page)
	}
}

func TestAGuestIsNotListedAndAStrangerSeesNobody(t *testing.T) {
	server := testApp(t)
	guest, ada, grace := open(t, server, ""), open(t, server, "Ada"), open(t, server, "Grace")
	guest.comeIn(1, "1", `{}`)
	ben := open(t, server, "Ben")
	ben.comeIn(4, "1", `{}`) // after the guest
	ada.sees("1", "Ben")
	grace.comeIn(2, "3", `{}`)
	ada.comeIn(3, "3", `{}`)
	if !strings.Contains(ada.page, "not_found") || strings.Contains(ada.page, "Grace") {
		t.Errorf("who may not see an article is told %s", ada.page)
	}
	grace.sees("3", "")
}

func TestWhoMadeAChangeIsTold(t *testing.T) {
	server := testApp(t)
	ada := open(t, server, "Ada")
	cursor := func() string {
		ada.get("/live/articles")
		_, rest, _ := strings.Cut(ada.page, `"cursor":"`)
		cursor, _, _ := strings.Cut(rest, `"`)
		return cursor
	}()
	ada.get("/articles/1")
	ada.save(map[string]string{"title": "Hers"})
	ada.get("/live/articles?wait=5&cursor=" + url.QueryEscape(cursor))
	if !strings.Contains(ada.page, `"by":{"name":"Ada","color":"blue"}`) {
		t.Errorf("the change does not say by whom: %s", ada.page)
	}
}
