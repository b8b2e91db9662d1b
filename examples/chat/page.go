package main

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed static
var static embed.FS

// page is what the template knows. The rows are not in it: they come by live, as every later change of them does.
type page struct {
	Me        Person
	Transport string // the transport that ?transport= asks for, or nothing
	MaxRoom   int
	MaxTopic  int
	MaxText   int
}

// servePage answers with the one page that there is for who has signed in.
func (c *chat) servePage(w http.ResponseWriter, r *http.Request) {
	p, err := me(r.Context())
	if err != nil {
		toLogin(w, r)
		return
	}
	c.render(w, "page.html", http.StatusOK, page{Me: p, Transport: r.URL.Query().Get("transport"), MaxRoom: maxRoomName, MaxTopic: maxTopic, MaxText: maxText})
}

// render answers with a template.
func (c *chat) render(w http.ResponseWriter, name string, status int, data any) {
	var html bytes.Buffer
	if err := c.templates.ExecuteTemplate(&html, name, data); err != nil {
		c.logger.Error("the page could not be rendered", "error", err)
		http.Error(w, "The page could not be rendered.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_, _ = w.Write(html.Bytes())
}

func parseTemplates() *template.Template {
	return template.Must(template.ParseFS(templates, "templates/*.html"))
}

// serveStatic answers with the style sheet, the scripts and the icon.
func serveStatic() http.Handler {
	files := http.FileServerFS(static)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache") // a new version of the binary is seen at once
		files.ServeHTTP(w, r)
	})
}
