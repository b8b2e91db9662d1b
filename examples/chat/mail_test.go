package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/swampline/live/examples/chat/notify"
)

// Who is called and away gets a mail; who has the chat before his eyes does not, until he goes without having read it.
func TestWhoIsAwayGetsAMail(t *testing.T) {
	s, folder := testStore(t), filepath.Join(t.TempDir(), "mails")
	away, err := mailing{folder: folder, from: "Chat <chat@example.com>", url: "https://chat.example.com"}.backend(s)
	if err != nil {
		t.Fatal(err)
	}
	_, server := testAppOver(t, s, notify.Options{Away: away, After: time.Millisecond, Poll: time.Millisecond})
	ada, ben, eve, zoe := browser(), browser(), browser(), browser()
	signIn(t, ada, server, url.Values{"name": {"Ada"}})
	signIn(t, ben, server, url.Values{"name": {"Ben"}, "email": {"ben@example.org"}})
	signIn(t, zoe, server, url.Values{"name": {"Zoe"}}) // she has told no address
	signIn(t, eve, server, url.Values{"name": {"Eve"}, "email": {"eve@example.org"}})

	look := `{"type":"subscribe","id":1,"channel":"online","presence":`
	until(t, "Ben is here", func() (string, bool) {
		seen := fmt.Sprint(round(t, ben, server, look+member(1, "")+`}`))
		return seen, strings.Contains(seen, "name:Ben")
	})
	round(t, ada, server, `{"type":"call","id":1,"router":"messages","verb":"create","data":{"room_id":1,"text":"@Ben, @Zoe and @Eve: dinner is ready"}}`)
	mails := func() (all string) {
		files, _ := filepath.Glob(filepath.Join(folder, "*.eml"))
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all += string(text)
		}
		return all
	}
	until(t, "Eve's mail", func() (string, bool) {
		round(t, ben, server, look+member(1, "")+`}`)
		return mails(), strings.Contains(mails(), "eve@example.org")
	})
	// Those who are due are gone through in the order in which they came, so that Ben had his turn before Eve.
	all := mails()
	if strings.Contains(all, "ben@example.org") || strings.Count(all, "\nTo: ") != 1 {
		t.Errorf("there are the mails\n%s", all)
	}
	for _, want := range []string{"To: \"Eve\" <eve@example.org>", "Subject: Ada called you in general", "dinner is ready", "https://chat.example.com/#/1"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}

	round(t, ben, server, `{"type":"call","id":1,"router":"presence","verb":"leave","data":`+member(1, "")+`}`)
	until(t, "Ben's mail", func() (string, bool) {
		round(t, ada, server, `{"type":"ping","id":1}`)
		return mails(), strings.Contains(mails(), "ben@example.org")
	})
}
