package server

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func pagesHandler(p Pages) http.Handler {
	return NewHandler(Config{Log: slog.New(slog.DiscardHandler), Pages: p}, Services{})
}

func get(h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPages(t *testing.T) {
	h := pagesHandler(Pages{Files: fstest.MapFS{
		"index.html":            {Data: []byte("<p>shop")},
		"ops.html":              {Data: []byte("<p>console")},
		"assets/app-1a2b.js":    {Data: []byte("plain")},
		"assets/app-1a2b.js.gz": {Data: []byte("zipped")},
		"static/icon.svg":       {Data: []byte("<svg/>")},
	}})
	for _, c := range []struct {
		path, accept, encoding string
		status                 int
		body, cache, kind      string
	}{
		{"/", "", "", 200, "<p>shop", "no-cache", "text/html; charset=utf-8"},
		{"/product/OLJCESPC7Z", "", "", 200, "<p>shop", "no-cache", "text/html; charset=utf-8"},
		{"/orders/01ABC", "", "", 200, "<p>shop", "no-cache", "text/html; charset=utf-8"},
		{"/ops", "", "", 200, "<p>console", "no-cache", "text/html; charset=utf-8"},
		{"/ops/orders?state=PAID", "", "", 200, "<p>console", "no-cache", "text/html; charset=utf-8"},
		{"/assets/app-1a2b.js", "", "", 200, "plain", "public, max-age=31536000, immutable", "text/javascript; charset=utf-8"},
		{"/assets/app-1a2b.js", "", "br, gzip", 200, "zipped", "public, max-age=31536000, immutable", "text/javascript; charset=utf-8"},
		{"/static/icon.svg", "", "gzip", 200, "<svg/>", "public, max-age=3600", "image/svg+xml"},
		{"/lost", "text/html,*/*", "", 404, "<p>shop", "no-cache", "text/html; charset=utf-8"},
		{"/lost", "*/*", "", 404, "There is nothing", "", "text/plain; charset=utf-8"},
		{"/assets/", "", "", 404, "There is nothing", "", "text/plain; charset=utf-8"},
		{"/assets/none.js", "text/html", "", 404, "There is nothing", "", "text/plain; charset=utf-8"},
	} {
		w := get(h, c.path, "Accept", c.accept, "Accept-Encoding", c.encoding)
		if w.Code != c.status || !strings.HasPrefix(w.Body.String(), c.body) {
			t.Errorf("%s: %d %q, want %d %q", c.path, w.Code, w.Body, c.status, c.body)
		}
		if got := w.Header().Get("Cache-Control"); got != c.cache {
			t.Errorf("%s: Cache-Control %q, want %q", c.path, got, c.cache)
		}
		if got := w.Header().Get("Content-Type"); got != c.kind {
			t.Errorf("%s: Content-Type %q, want %q", c.path, got, c.kind)
		}
		if c.cache != "" && !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s has no content security policy", c.path)
		}
	}
}

func TestPages_SameBuildIsNotSentAgain(t *testing.T) {
	h := pagesHandler(Pages{Files: fstest.MapFS{"index.html": {Data: []byte("<p>shop")}}})
	tag := get(h, "/").Header().Get("ETag")
	if w := get(h, "/", "If-None-Match", tag); tag == "" || w.Code != http.StatusNotModified {
		t.Errorf("with the tag %q: %d, want 304", tag, w.Code)
	}
}

func TestPages_WithoutNodeHomeExplainsHowToBuildThem(t *testing.T) {
	h := pagesHandler(Pages{})
	if w := get(h, "/"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "make web") {
		t.Errorf("/: %d %q", w.Code, w.Body)
	}
	if w := get(h, "/cart", "Accept", "text/html"); w.Code != http.StatusNotFound {
		t.Errorf("/cart: %d, want 404", w.Code)
	}
}

func TestPages_SettingsHaveTheServersClock(t *testing.T) {
	var got struct {
		Time      time.Time
		TestCards bool
	}
	w := get(pagesHandler(Pages{TestCards: true}), "/shop.json")
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if age := time.Since(got.Time); age < 0 || age > time.Minute || !got.TestCards {
		t.Errorf("settings %s", w.Body)
	}
}
