package server

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

// Pages are the pages of the shop and the console, as Vite built them.
type Pages struct {
	// Files holds index.html, ops.html, assets/ and static/; nil serves no pages.
	Files fs.FS
	// TestCards has the checkout list the numbers of the simulated payment provider, which takes no money.
	TestCards bool
	// TraceURL is where the console finds a trace, with {trace} in place of its id; empty is nowhere.
	TraceURL string
	// Lab sends loads for the console; nil has none.
	Lab Lab
}

const (
	// contentPolicy lets a page load and call nothing but this server, and run no script or style that is written into it.
	contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; manifest-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	// assetCache is for files whose names contain a hash of their content, pictureCache for those that keep their names.
	assetCache   = "public, max-age=31536000, immutable"
	pictureCache = "public, max-age=3600"
	// pageCache has a browser ask each time: the page names the assets of its build.
	pageCache = "no-cache"
)

// shopPaths are those of the shop's pages, which index.html shows. The routes are in web/app/src/shop/routes.tsx.
var shopPaths = []string{
	"/{$}", "/search", "/category/{category}", "/product/{sku}", "/sale/{sku}", "/cart", "/checkout", "/orders", "/orders/{id}",
}

// mount serves the pages and what they load. Without pages, / explains how to build them and shows a first call.
func (p Pages) mount(mux *http.ServeMux, errs rpcErrors) {
	mux.HandleFunc("GET /shop.json", p.settings)
	if p.Files == nil {
		mux.HandleFunc("GET /{$}", home)
		mux.HandleFunc("/", errs.notFound)
		return
	}
	shop, console := p.page("index.html"), p.page("ops.html")
	for _, pattern := range shopPaths {
		mux.HandleFunc("GET "+pattern, shop(http.StatusOK))
	}
	mux.HandleFunc("GET /ops", console(http.StatusOK))
	mux.HandleFunc("GET /ops/", console(http.StatusOK))
	mux.HandleFunc("GET /assets/", p.file(assetCache, errs))
	mux.HandleFunc("GET /static/", p.file(pictureCache, errs))
	missing := shop(http.StatusNotFound)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && !isRPC(r) && strings.Contains(r.Header.Get("Accept"), "text/html") {
			missing(w, r)
			return
		}
		errs.notFound(w, r)
	})
}

// page returns handlers of a page, by their HTTP status. A browser that has the page of this build gets 304.
func (p Pages) page(name string) func(status int) http.HandlerFunc {
	body, err := fs.ReadFile(p.Files, name)
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			protect(w)
			w.Header().Set("Cache-Control", pageCache)
			switch {
			case err != nil:
				http.Error(w, "this page is not built", http.StatusNotFound)
			case status == http.StatusOK && r.Header.Get("If-None-Match") == tag:
				w.WriteHeader(http.StatusNotModified)
			default:
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				w.Header().Set("ETag", tag)
				w.WriteHeader(status)
				_, _ = w.Write(body) // The client may be gone.
			}
		}
	}
}

// file serves a file by its path, compressed if the browser accepts that and the build has it so.
func (p Pages) file(cache string, errs rpcErrors) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		f, encoding := p.open(name, strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"))
		if f == nil {
			errs.notFound(w, r)
			return
		}
		defer func() { _ = f.Close() }() // It is only read.
		content, ok := f.(io.ReadSeeker)
		if !ok {
			errs.notFound(w, r)
			return
		}
		protect(w)
		w.Header().Set("Cache-Control", cache)
		w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
		w.Header().Set("Vary", "Accept-Encoding")
		if encoding != "" {
			w.Header().Set("Content-Encoding", encoding)
		}
		http.ServeContent(w, r, name, time.Time{}, content)
	}
}

// open returns the file, or its compressed copy with the encoding; nil if there is none, or if it is a folder.
func (p Pages) open(name string, gzip bool) (f fs.File, encoding string) {
	if gzip {
		if f, err := p.Files.Open(name + ".gz"); err == nil {
			return f, "gzip"
		}
	}
	f, err := p.Files.Open(name)
	if err != nil {
		return nil, ""
	}
	if info, err := f.Stat(); err != nil || info.IsDir() {
		_ = f.Close() // It was only looked at.
		return nil, ""
	}
	return f, ""
}

// protect sets the headers that keep foreign scripts, frames and guesses of content types away.
func protect(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// settings serves what the pages need to know: the server's clock, by which sales begin, whether test cards work, where traces are, and whether
// there is a load lab.
func (p Pages) settings(w http.ResponseWriter, _ *http.Request) {
	protect(w)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(struct { // The client may be gone.
		Time      time.Time `json:"time"`
		TestCards bool      `json:"testCards"`
		TraceURL  string    `json:"traceUrl,omitempty"`
		LoadLab   bool      `json:"loadLab,omitempty"`
	}{time.Now().UTC(), p.TestCards, p.TraceURL, p.Lab != nil})
}

// home explains how to build the pages, and shows a first call.
func home(w http.ResponseWriter, r *http.Request) {
	protect(w)
	fmt.Fprintf(w, "Spillway takes orders. This program has no pages: `make web` builds them with Node 20, then build and start it again.\n"+
		"The API works. Try: curl -H 'Content-Type: application/json' -d '{}' http://%s/spillway.v1.CatalogService/ListProducts\n", r.Host)
}
