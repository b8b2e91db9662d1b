package main

import (
	"net/http"
	"strconv"

	"github.com/swampline/live"
)

// listPage is what the template list.html knows.
type listPage struct {
	page
	Articles []listed
	MaxTitle int
	Title    string // of a new article that was refused
	Error    string
}

// listed is an article with who is in it.
type listed struct {
	Article
	Here people
}

func (a *app) showList(w http.ResponseWriter, r *http.Request) {
	a.renderList(w, r, http.StatusOK, listPage{})
}

// renderList renders the list as it is now. With a script the page goes on from there.
func (a *app) renderList(w http.ResponseWriter, r *http.Request, status int, page listPage) {
	me := person(r.Context())
	articles, err := a.store.articles(r.Context(), "WHERE NOT private OR owner_id = ? ORDER BY changed_at DESC, id", me.ID)
	if err != nil {
		a.failed(w, r, err)
		return
	}
	page.page, page.MaxTitle = pageOf(r), maxTitle
	for _, article := range articles {
		key := live.Key(strconv.FormatInt(article.ID, 10))
		page.Articles = append(page.Articles, listed{article, a.here(key, me)})
	}
	a.render(w, status, "list.html", page)
}
