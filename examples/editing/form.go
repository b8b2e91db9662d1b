package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/swampline/live"
)

// The form of an article works without any script. It holds, hidden, the version that it was made from, and what each field said
// then (live's FormValues); so a save is the same as that of the page's script: fields that nobody else changed are merged, and of
// one that somebody did the page asks.

// field is a field of the form.
type field struct {
	Name, Label, Kind string
	Shown             bool // to this person
	Rows              int
	Options           []string
	Value             string // what the form says
	Stored            string // what the stored row says
	Error             string
	Theirs            *theirs
}

// theirs is what somebody else has made of a field while this person wrote.
type theirs struct {
	By, Text string
	Diff     []part // from theirs to mine
}

// notice is what the page says above the form.
type notice struct{ Kind, Text string }

type articlePage struct {
	page
	Article
	Key    live.Key
	Hidden []live.FormValue
	Fields []field
	Here   people
	Notice *notice
	Torn   bool // somebody else changed what this person did
	Mine   bool // this person began it
	Lock   bool
}

// fieldsOf returns the fields of an article's form, which say what the article does.
func fieldsOf(a Article, who Person) []field {
	text := map[string]string{"title": a.Title, "section": a.Section, "summary": a.Summary, "body": a.Body, "ready": strconv.FormatBool(a.Ready), "private": strconv.FormatBool(a.Private)}
	fields := []field{
		{Name: "title", Label: "Title", Kind: "text", Shown: true},
		{Name: "section", Label: "Section", Kind: "select", Options: sections, Shown: true},
		{Name: "summary", Label: "Summary", Kind: "textarea", Rows: 2, Shown: true},
		{Name: "body", Label: "Text", Kind: "textarea", Rows: 12, Shown: true},
		{Name: "ready", Label: "Ready to print", Kind: "checkbox", Shown: true},
		{Name: "private", Label: "Only I may see this", Kind: "checkbox", Shown: a.OwnerID == who.ID},
	}
	for i := range fields {
		fields[i].Value, fields[i].Stored = text[fields[i].Name], text[fields[i].Name]
	}
	return fields
}

// visible returns an article that the caller may see.
func (a *app) visible(r *http.Request) (Article, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return Article{}, live.ErrNotFound
	}
	article, err := a.store.article(r.Context(), id)
	if err == nil && !article.seenBy(person(r.Context())) {
		err = live.ErrNotFound
	}
	return article, err
}

func (a *app) showArticle(w http.ResponseWriter, r *http.Request) {
	article, err := a.visible(r)
	if errors.Is(err, live.ErrNotFound) {
		a.showGone(w, r, nil)
		return
	}
	if err != nil {
		a.failed(w, r, err)
		return
	}
	page, err := a.pageOfArticle(r, article)
	if err != nil {
		a.failed(w, r, err)
		return
	}
	if r.FormValue("saved") != "" {
		page.Notice = &notice{"saved", "Saved."}
	}
	a.render(w, http.StatusOK, "article.html", page)
}

func (a *app) pageOfArticle(r *http.Request, article Article) (*articlePage, error) {
	me := person(r.Context())
	key := live.Key(strconv.FormatInt(article.ID, 10))
	hidden, err := a.articles.FormValues(r.Context(), article)
	return &articlePage{
		page: pageOf(r), Article: article, Key: key, Hidden: hidden, Fields: fieldsOf(article, me), Here: a.here(key, me), Mine: article.OwnerID == me.ID, Lock: a.lock,
	}, err
}

// saveArticle takes the form.
func (a *app) saveArticle(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	article, err := a.articles.UpdateForm(r, r.PathValue("id"))
	if errors.Is(err, live.ErrUnpublished) {
		a.logger.Error("an article was saved, and the others are told late", "article", article.ID, "error", err)
		err = nil
	}
	if err != nil {
		a.showAgain(w, r, err)
		return
	}
	http.Redirect(w, r, withTransport(r, "/articles/"+strconv.FormatInt(article.ID, 10), "saved", "yes"), http.StatusSeeOther)
}

// showAgain shows a form that was not saved with everything that was written in it, and what is wrong with that: or, beside each field
// that somebody else has changed, too, what they made of it. What the form is made from is then the article as it is now: to save it
// once more overwrites what this page shows, and nothing that it does not.
func (a *app) showAgain(w http.ResponseWriter, r *http.Request, err error) {
	p := live.ProblemOf(err)
	article, gone := a.visible(r)
	switch {
	case errors.Is(p, live.ErrNotFound) || errors.Is(gone, live.ErrNotFound):
		a.showGone(w, r, written(r))
		return
	case gone != nil:
		a.failed(w, r, gone)
		return
	case p.Status >= 500:
		a.logger.Error("an article could not be saved", "article", article.ID, "error", err)
	}
	page, broken := a.pageOfArticle(r, article)
	if broken != nil {
		a.failed(w, r, broken)
		return
	}
	var torn []string
	for i := range page.Fields {
		f := &page.Fields[i]
		if messages := p.Errors[f.Name]; len(messages) > 0 {
			f.Error = messages[0]
		}
		wrote, was := posted(r, f)
		if !f.Shown || wrote == was {
			continue // untouched: what is stored stands there
		}
		if f.Value = wrote; f.Stored != was && f.Stored != wrote {
			f.Theirs = &theirs{By: whoChanged(p, f.Name, article), Text: spoken(f, f.Stored)}
			if f.Kind == "text" || f.Kind == "textarea" {
				f.Theirs.Diff = difference(f.Stored, wrote)
			}
			torn = append(torn, "“"+f.Label+"”")
		}
	}
	page.Notice = &notice{"wrong", "That could not be saved: " + p.Detail + "."}
	if len(p.Errors) > 0 {
		page.Notice.Text = "That is not saved yet: something is missing, or wrong."
	}
	if page.Torn = len(torn) > 0; page.Torn {
		page.Notice.Text = article.ChangedBy + " saved " + strings.Join(torn, ", ") + " while you were writing there, too. Yours is not saved yet: look at both."
	}
	a.render(w, p.Status, "article.html", page)
}

// whoChanged says who changed a field last, as far as it is known.
func whoChanged(p *live.Error, field string, article Article) string {
	var who by
	if c, ok := p.Changed[field]; ok && json.Unmarshal(c.By, &who) == nil && who.Name != "" {
		return who.Name
	}
	return article.ChangedBy
}

// posted returns what a form says of a field, and what the form was made from.
func posted(r *http.Request, f *field) (wrote, was string) {
	wrote = strings.ReplaceAll(r.PostFormValue(f.Name), "\r\n", "\n") // forms send two characters for a line break
	if f.Kind == "checkbox" {
		wrote = strconv.FormatBool(wrote != "")
	}
	var value any
	if json.Unmarshal([]byte(r.PostFormValue("was."+f.Name)), &value) == nil {
		was = fmt.Sprint(value)
	}
	return wrote, was
}

// spoken says a field's value to a person.
func spoken(f *field, value string) string {
	switch {
	case f.Kind == "checkbox" && value == "true":
		return "Yes"
	case f.Kind == "checkbox":
		return "No"
	case value == "":
		return "(nothing)"
	}
	return value
}

// createArticle begins an article, and goes to its form.
func (a *app) createArticle(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	me := person(r.Context())
	article := Article{Title: oneLine(r.FormValue("title")), Section: sections[0], OwnerID: me.ID, ChangedBy: me.Name}
	var wrong live.Invalid
	err := article.check(r.Context(), nil)
	if errors.As(err, &wrong) {
		a.renderList(w, r, http.StatusUnprocessableEntity, listPage{Title: article.Title, Error: wrong["title"][0]})
		return
	}
	err = a.store.tx(r.Context(), func(ctx context.Context) error {
		if article, err = a.store.addArticle(ctx, article); err != nil {
			return err
		}
		return a.articles.Created(ctx, article)
	})
	if err != nil {
		a.failed(w, r, err)
		return
	}
	http.Redirect(w, r, withTransport(r, "/articles/"+strconv.FormatInt(article.ID, 10)), http.StatusSeeOther)
}

// deleteArticle deletes an article of the version that its owner saw.
func (a *app) deleteArticle(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	article, err := a.visible(r)
	if err == nil && article.OwnerID != person(r.Context()).ID {
		http.Error(w, "Only who began an article can delete it.", http.StatusForbidden)
		return
	}
	if err == nil {
		err = a.notLocked(r.Context(), article)
	}
	if err == nil {
		err = a.remove(r, article)
	}
	var page *articlePage
	if p := live.ProblemOf(err); p != nil && p.Status == http.StatusConflict {
		if article, err = a.visible(r); err == nil {
			page, err = a.pageOfArticle(r, article)
		}
		if page != nil {
			page.Notice = &notice{"wrong", "That could not be deleted: " + p.Detail + ". Have another look."}
		}
	}
	switch {
	case errors.Is(err, live.ErrNotFound):
		a.showGone(w, r, nil)
	case err != nil:
		a.failed(w, r, err)
	case page != nil:
		a.render(w, http.StatusConflict, "article.html", page)
	default:
		http.Redirect(w, r, withTransport(r, "/"), http.StatusSeeOther)
	}
}

// remove deletes an article if it is of the version that a form says, and tells of it.
func (a *app) remove(r *http.Request, article Article) error {
	seen, err := live.VersionOf(r)
	if err != nil {
		return live.ErrConflict // who does not say what they saw has not seen it
	}
	article.Version = seen
	return a.store.tx(r.Context(), func(ctx context.Context) error {
		if err := a.store.removeArticle(ctx, article); err != nil {
			return err
		}
		return a.articles.Deleted(ctx, article)
	})
}

// gonePage is what the template gone.html knows.
type gonePage struct {
	page
	Title, Detail string
	Texts         []field
}

// showGone says that there is no such article to this person, and gives back what they wrote.
func (a *app) showGone(w http.ResponseWriter, r *http.Request, texts []field) {
	a.render(w, http.StatusNotFound, "gone.html", gonePage{
		page: pageOf(r), Title: "There is no such article", Detail: "It was deleted, or you may not see it (any more).", Texts: texts,
	})
}

// written returns the texts of a form that was sent and not saved.
func written(r *http.Request) (texts []field) {
	for _, f := range fieldsOf(Article{}, Person{}) {
		if f.Kind == "text" || f.Kind == "textarea" {
			f.Value, _ = posted(r, &f)
			f.Rows = max(f.Rows, 1)
			texts = append(texts, f)
		}
	}
	return texts
}

// withTransport returns a path with the query that has been there, as far as it is to stay, and more.
func withTransport(r *http.Request, path string, more ...string) string {
	query := url.Values{}
	if transport := r.FormValue("transport"); transport != "" {
		query.Set("transport", transport)
	}
	for i := 0; i+1 < len(more); i += 2 {
		query.Set(more[i], more[i+1])
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}
