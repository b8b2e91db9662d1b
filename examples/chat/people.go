package main

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/swampline/live"
)

// Person is somebody who came by. The name never changes; it is one word, so that others can call him by it.
type Person struct {
	ID      int64  `live:"id,key"`
	Name    string `live:"name,filter"`
	Folded  string // the name in lower case
	Hue     int64  `live:"hue"`
	Email   string // for his mails alone
	PacedTo int64  // see pace.go
	Version int64  `live:"version,version"`
}

// hues are the colours that there are: degrees on the wheel.
var hues = []int64{0, 28, 52, 120, 170, 205, 262, 318}

const maxName = 24

// host is who says welcome, and owns the first rooms: nobody can sign in by that name.
const host = "live"

// names are what people may be called: one word of any language.
var names = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{M}\p{N}_-]*$`)

// peopleRouter is the live endpoint of people: whoever has signed in may know who there is.
func (c *chat) peopleRouter() *live.Router[Person] {
	return &live.Router[Person]{Name: "people", Scope: live.Everyone, Allow: signedIn, List: c.store.people().listed, Get: c.store.people().get}
}

type personKey struct{}

func asPerson(ctx context.Context, p Person) context.Context {
	return context.WithValue(ctx, personKey{}, p)
}

// errSignedOut refuses who has no session. The middleware does so before; here is who is asked if somebody takes it away.
var errSignedOut = &live.Error{Code: "signed_out", Status: http.StatusUnauthorized, Detail: "Please sign in."}

// me returns who sent the request that ctx belongs to: the person as he was when his session began.
func me(ctx context.Context) (Person, error) {
	if p, ok := ctx.Value(personKey{}).(Person); ok {
		return p, nil
	}
	return Person{}, errSignedOut
}

func signedIn(ctx context.Context, _ string) error {
	_, err := me(ctx)
	return err
}

// identity is what the hub, and the notifications, know a person by.
func identity(ctx context.Context) string {
	p, err := me(ctx)
	if err != nil {
		return ""
	}
	return idText(p.ID)
}

func idText(id int64) string { return strconv.FormatInt(id, 10) }

// called returns the person of a name.
func (s *store) called(ctx context.Context, name string) (Person, error) {
	return s.people().one(ctx, live.ErrNotFound, "SELECT "+s.people().columns+" FROM people WHERE folded = ?", strings.ToLower(name))
}
