package main

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var static embed.FS

// page is what every page that one must sign in for knows.
type page struct {
	Me        Person
	Transport string // the transport that ?transport= asks for, or nothing
}

func pageOf(r *http.Request) page {
	return page{Me: person(r.Context()), Transport: r.FormValue("transport")}
}

func parseTemplates() *template.Template {
	return template.Must(template.ParseFS(templateFiles, "templates/*.html"))
}

// render answers with a page.
func (a *app) render(w http.ResponseWriter, status int, name string, page any) {
	var html bytes.Buffer
	if err := a.templates.ExecuteTemplate(&html, name, page); err != nil {
		a.logger.Error("a page could not be rendered", "page", name, "error", err)
		http.Error(w, "The page could not be rendered.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	w.Write(html.Bytes())
}

// failed answers that something went wrong of which the browser need not know what.
func (a *app) failed(w http.ResponseWriter, r *http.Request, err error) {
	a.logger.Error("a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	http.Error(w, "That did not work. Try again in a moment.", http.StatusInternalServerError)
}

// serveStatic answers with the style sheet, the scripts and the icon.
func serveStatic() http.Handler {
	files := http.FileServerFS(static)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache") // a new version of the binary is seen at once
		files.ServeHTTP(w, r)
	})
}
