package main

import (
	"bytes"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed static
var static embed.FS

// servePage answers with the one page there is, and gives new customers a name. The rows are not in it: they come by live, as every
// later change of them does.
func (s *shop) servePage(logger *slog.Logger) http.Handler {
	index := template.Must(template.ParseFS(templates, "templates/page.html"))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := visitor(r.Context())
		var err error
		if who.ID == 0 {
			who, err = s.welcome(w, r)
		}
		var html bytes.Buffer
		if err == nil {
			err = index.Execute(&html, who)
		}
		if err != nil {
			logger.Error("the page could not be rendered", "error", err)
			http.Error(w, "The page could not be rendered.", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'")
		w.Write(html.Bytes())
	})
}

// serveStatic answers with the style sheet, the scripts and the icon.
func serveStatic() http.Handler {
	files := http.FileServerFS(static)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache") // a new version of the binary is seen at once
		files.ServeHTTP(w, r)
	})
}
