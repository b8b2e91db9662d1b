package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/swampline/live"
	"github.com/swampline/live/where"
)

// Article is what is written here. Who may see it is the owner's to say.
type Article struct {
	ID        int64     `live:"id,key"`
	OwnerID   int64     `live:"owner_id,scope"` // for rights only: never sent
	Private   bool      `live:"private,write,filter"`
	Title     string    `live:"title,write,filter"`
	Section   string    `live:"section,write,filter"`
	Summary   string    `live:"summary,write"`
	Body      string    `live:"body,write"`
	Ready     bool      `live:"ready,write,filter"`
	ChangedAt time.Time `live:"changed_at,filter"`
	ChangedBy string    `live:"changed_by"`
	Version   int64     `live:"version,version"`

	LockToken string // of the lock under which it was saved last; no field of the router's
}

var sections = []string{"Town", "Guides", "Opinion", "Sport"}

// The most characters of a text.
const (
	maxTitle   = 120
	maxSummary = 300
	maxBody    = 20_000
)

// seenBy says of one article what the router's Scope says of all.
func (a Article) seenBy(p Person) bool { return !a.Private || a.OwnerID == p.ID }

// articlesRouter is the live endpoint of articles. Both ways to save use it, the page's script and the plain form, so that the
// rules stand here once.
func articlesRouter(s *store) *live.Router[Article] {
	return &live.Router[Article]{
		Name: "articles",
		// Presence goes by this, too: who may not see an article learns nothing of who is in it.
		Scope: func(ctx context.Context) (where.Where, error) {
			return where.Or(where.Eq("private", false), where.Eq("owner_id", person(ctx).ID)), nil
		},
		Allow: func(ctx context.Context, verb string) error {
			if verb != "list" && verb != "get" && person(ctx).guest() {
				return &live.Error{Code: "sign_in", Status: 401, Detail: "sign in to write"}
			}
			return nil
		},
		AllowRow: func(ctx context.Context, verb string, a Article) error {
			if verb == "delete" && a.OwnerID != person(ctx).ID {
				return &live.Error{Detail: "only who began an article can delete it"}
			}
			return nil
		},
		Tx: s.tx,

		List: func(ctx context.Context, q live.Query) ([]Article, error) {
			clause, args := q.SQL(where.SQLite)
			return s.articles(ctx, clause, args...)
		},
		Get: func(ctx context.Context, key live.Key) (Article, error) {
			return s.article(ctx, key.Int64())
		},
		Create: func(ctx context.Context, in Article) (Article, error) {
			in.OwnerID = person(ctx).ID
			in.ChangedBy = person(ctx).Name
			return s.addArticle(ctx, in)
		},
		Update: func(ctx context.Context, was, now Article) (Article, error) {
			now.ChangedBy = person(ctx).Name
			return s.saveArticle(ctx, now)
		},
		Delete: s.removeArticle,

		Validate: func(ctx context.Context, was *Article, now Article) error {
			return now.check(ctx, was)
		},
	}
}

// Validate puts what somebody wrote in order; live calls it before the router's Validate.
func (a *Article) Validate(context.Context) error {
	a.Title, a.Summary = oneLine(a.Title), oneLine(a.Summary)
	return nil
}

// check says what is wrong with an article, at the field.
func (a Article) check(ctx context.Context, was *Article) error {
	wrong := live.Invalid{}
	if a.Title == "" {
		wrong["title"] = []string{"An article needs a title."}
	}
	for _, text := range []struct {
		field, value string
		limit        int
	}{{"title", a.Title, maxTitle}, {"summary", a.Summary, maxSummary}, {"body", a.Body, maxBody}} {
		if n := utf8.RuneCountInString(text.value); n > text.limit {
			wrong[text.field] = []string{fmt.Sprintf("That is %d characters; %d is the most.", n, text.limit)}
		}
	}
	if !slices.Contains(sections, a.Section) {
		wrong["section"] = []string{"There is no such section: choose one of " + strings.Join(sections, ", ") + "."}
	}
	if a.Ready && strings.TrimSpace(a.Body) == "" {
		wrong["ready"] = []string{"There is nothing to print yet."}
	}
	if was != nil && was.Private != a.Private && was.OwnerID != person(ctx).ID {
		wrong["private"] = []string{"Only who began an article can say who sees it."}
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

// oneLine returns text without line breaks, and without white space around it.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
