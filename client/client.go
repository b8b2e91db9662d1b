// Package client embeds the browser client, built from the TypeScript beside it, so that a hub serves the client that speaks
// its protocol.
package client

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"time"
)

//go:embed dist/live.js dist/live.mjs dist/presence.js dist/presence.mjs
var dist embed.FS

// file is one file of the client as it is served.
type file struct {
	data []byte
	etag string
}

var files = map[string]file{
	"live.js": load("live.js"), "live.mjs": load("live.mjs"),
	"presence.js": load("presence.js"), "presence.mjs": load("presence.mjs"),
}

func load(name string) file {
	data, err := dist.ReadFile("dist/" + name)
	if err != nil {
		panic("live: client: " + err.Error()) // the compiler has embedded it
	}
	sum := sha256.Sum256(data)
	return file{data, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}

// Has reports whether there is a file of this name: live.js, the classic script, or live.mjs, the ES module, and beside them
// presence.js and presence.mjs: who is here, and who is editing.
func Has(name string) bool { return files[name].data != nil }

// ServeFile answers with a file of the client. Its ETag is of the content, and browsers ask each time: a new version of
// the application brings its own client.
func ServeFile(w http.ResponseWriter, r *http.Request, name string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	f := files[name]
	header := w.Header()
	header.Set("Content-Type", "text/javascript; charset=utf-8")
	header.Set("Cache-Control", "no-cache")
	header.Set("ETag", f.etag)
	header.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.data)) // knows what If-None-Match may hold
}
