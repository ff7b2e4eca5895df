package server

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

// TestCompatible_Pictures checks that a picture is served under both names, as what it is.
func TestCompatible_Pictures(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"static/img/products/mug.svg":  {Data: []byte("<svg>mug</svg>")},
		"index.html":                   {Data: []byte("<html>shop</html>")},
		"static/img/products/real.svg": {Data: []byte("<svg>real</svg>")},
	}
	h := NewCompatibleHandler(CompatibleConfig{Admission: NewAdmission(AdmissionConfig{}), Files: files, Log: slog.New(slog.DiscardHandler)}, nil)
	for path, want := range map[string]int{
		"/static/img/products/mug.jpg": http.StatusOK, "/static/img/products/mug.svg": http.StatusOK, "/static/img/products/real.jpg": http.StatusOK,
		"/static/img/products/none.jpg": http.StatusNotFound, "/static/img/products/": http.StatusNotFound, "/static/../index.html": http.StatusNotFound,
		"/": http.StatusNotFound, "/livez": http.StatusOK, "/readyz": http.StatusOK,
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop/", nil)
		r.URL.Path = path
		h.ServeHTTP(w, r)
		if w.Code != want && (want != http.StatusNotFound || w.Code != http.StatusTemporaryRedirect && w.Code != http.StatusMovedPermanently) {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
		if picture := strings.HasSuffix(path, "g"); picture && want == http.StatusOK &&
			(w.Header().Get("Content-Type") != "image/svg+xml" || w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(w.Body.String(), "<svg>")) {
			t.Errorf("%s: %v %s", path, w.Header(), w.Body)
		}
	}
}
